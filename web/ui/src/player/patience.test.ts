import { expect, test } from 'vitest';
import { PATIENCE, UNTIL_PREPARED } from './patience.js';

const again = (code: number, retries: number) =>
  UNTIL_PREPARED.shouldRetry?.(UNTIL_PREPARED, retries, false, { url: '', code }, false);

test('a piece that is not there yet is asked for again for minutes, anything else at once is told', () => {
  expect([0, 1, 299].map((retries) => again(503, retries))).toEqual([true, true, true]);
  expect(again(503, 300)).toBe(false);
  expect([0, 401, 403, 404, 500, 502].map((code) => again(code, 0))).not.toContain(true);
});

test('the player waits longer for a first byte than the edge holds a request', () => {
  expect(PATIENCE.fragLoadPolicy.default.maxTimeToFirstByteMs).toBeGreaterThan(2 * 8000);
});
