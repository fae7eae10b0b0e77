import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StandingChoice } from './standing.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('what was chosen is chosen again, and ever later the more often it fails', () => {
  const moments: number[] = [];
  const began = Date.now();
  const choice = new StandingChoice(() => {
    moments.push((Date.now() - began) / 1000);
    // It fails at once.
    choice.failed(true);
  });
  choice.failed(true);
  vi.advanceTimersByTime(200_000);
  expect(moments).toEqual([5, 15, 35, 75, 135, 195]);
});

test('one failure of many pieces is one', () => {
  const choose = vi.fn();
  const choice = new StandingChoice(choose);
  for (let n = 0; n < 5; n += 1) choice.failed(true);
  vi.advanceTimersByTime(60_000);
  expect(choose).toHaveBeenCalledTimes(1);
});

test('what is not lost, or stands no more, is not chosen', () => {
  const choose = vi.fn();
  const choice = new StandingChoice(choose);
  choice.failed(false);
  choice.failed(true);
  choice.forget();
  vi.advanceTimersByTime(60_000);
  expect(choose).not.toHaveBeenCalled();
});
