import { expect, test } from 'vitest';
import { behind, isLatency, nextTry, viewOf } from './latency.js';

test('each latency has its playlist beside the first', () => {
  const url = '/live/v/1/multivariant.m3u8';
  expect(viewOf(url, 'low')).toBe(url);
  expect(viewOf(url, 'normal')).toBe('/live/v/1/normal/multivariant.m3u8');
  expect(viewOf(`/t/grant${url}`, 'saver')).toBe('/t/grant/live/v/1/saver/multivariant.m3u8');
  expect([isLatency('saver'), isLatency('auto'), isLatency(null)]).toEqual([true, false, false]);
});

test('a few seconds behind are live', () => {
  expect([behind(100, 103), behind(100, 104.6), behind(100, 99), behind(100, null), behind(0, Infinity)]).toEqual([0, 5, 0, 0, 0]);
});

test('tries come later and later, and not at the same moment for all', () => {
  expect([0, 1, 2, 3, 9].map((n) => nextTry(n, 0.5))).toEqual([1000, 2000, 4000, 8000, 8000]);
  expect([nextTry(0, 0), nextTry(0, 1)]).toEqual([750, 1250]);
});
