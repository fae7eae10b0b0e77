import { expect, test } from 'vitest';
import { ceiling, KEPT, lines, pushed, type Series } from './plot.js';

test('the newest is kept', () => {
  let series: Series = [];
  for (let n = 0; n < KEPT + 5; n += 1) series = pushed(series, n);
  expect([series.length, series[0], series.at(-1)]).toEqual([KEPT, 5, KEPT + 4]);
});

test('an axis ends at a round number', () => {
  expect([ceiling([], 1), ceiling([2400], 1), ceiling([29.97], 1), ceiling([null, 3], 10), ceiling([0.4], 0.1)]).toEqual([1, 5000, 50, 10, 0.5]);
});

test('a line is broken where nothing came in', () => {
  expect(lines([], 10, 100, 20)).toEqual([]);
  expect(lines([5], 10, 118, 20)).toEqual(['118.0,10.0']);
  expect(lines([0, 10, null, 20], 10, 118, 20)).toEqual(['112.0,20.0 114.0,0.0', '118.0,0.0']);
});
