import { expect, test } from 'vitest';
import { formValue } from './times.js';

test('a form shows the readers own clock', () => {
  const at = Date.parse('2026-11-21T18:05:00Z');
  expect([formValue(at, 0), formValue(at, 300), formValue(at, -60)]).toEqual([
    '2026-11-21T18:05',
    '2026-11-21T13:05',
    '2026-11-21T19:05',
  ]);
});
