import { expect, test } from 'vitest';
import { isAway, PATIENCE, throughOutages, UNTIL_PREPARED } from './patience.js';

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

test('a broadcast is asked for again while its server is away, and not when it refuses', () => {
  const { playlistLoadPolicy, fragLoadPolicy } = throughOutages(0.5);
  for (const { errorRetry } of [playlistLoadPolicy.default, fragLoadPolicy.default]) {
    const again = (code: number | undefined, retries: number) =>
      errorRetry?.shouldRetry?.(errorRetry, retries, false, code === undefined ? undefined : { url: '', code }, false);
    expect([again(0, 0), again(0, 299), again(503, 5), again(0, 300)]).toEqual([true, true, true, false]);
    expect([401, 403, 404, 410, undefined].map((code) => again(code, 0))).not.toContain(true);
  }
  expect([0, 500, 503, 200, 404, undefined].map(isAway)).toEqual([true, true, true, false, false, false]);
});

test('those who watch together do not ask together', () => {
  const delays = [0, 0.5, 1].map((random) => throughOutages(random).playlistLoadPolicy.default.errorRetry?.retryDelayMs);
  expect(delays).toEqual([375, 500, 625]);
});
