import { expect, test } from 'vitest';
import { playerId } from './player-id.js';

test('whatever the bytes, it is an id', () => {
  expect(playerId(new Uint8Array(26).fill(255))).toBe(`7${'z'.repeat(25)}`);
  expect(playerId(new Uint8Array(26))).toBe('0'.repeat(26));
  expect(playerId(crypto.getRandomValues(new Uint8Array(26)))).toMatch(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/);
});
