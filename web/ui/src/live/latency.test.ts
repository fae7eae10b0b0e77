import { expect, test } from 'vitest';
import { behind, isLatency, nextTry, place, viewOf } from './latency.js';

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

test('a chapter of an event is found as far back as is listed', () => {
  const first = { sn: 0, start: 4, date: 1_000_000 };
  expect(place(30_000, first, null)).toBe(34);
  // The event began to be seen at 1,000,000: 2.7 s after it began. A minute of it is not listed any more.
  const later = { sn: 30, start: 4, date: 1_057_300 };
  expect(place(90_000, later, 1_000_000)).toBe(34);
  expect(place(10_000, later, 1_000_000)).toBe(4);
  expect(place(10_000, { ...later, date: null }, 1_000_000)).toBe(null);
});
