import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepLooking, nextLook } from './watchful.js';

let page: { hidden: boolean } & EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('document', page);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function hide(isHidden: boolean) {
  page.hidden = isHidden;
  page.dispatchEvent(new Event('visibilitychange'));
}

test('failures make it patient, up to half a minute', () => {
  expect([0, 1, 2, 9].map((failures) => nextLook(5000, failures))).toEqual([5000, 10_000, 20_000, 30_000]);
});

test('it stops when there is nothing left to wait for', async () => {
  const look = vi.fn().mockResolvedValueOnce(true).mockResolvedValueOnce(false);
  keepLooking(5000, look);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(look).toHaveBeenCalledTimes(2);
  hide(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(look).toHaveBeenCalledTimes(2);
});

test('a hidden page asks nothing, and at once when it is seen again', async () => {
  const look = vi.fn().mockResolvedValue(true);
  const stop = keepLooking(5000, look);
  hide(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(look).not.toHaveBeenCalled();
  hide(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(look).toHaveBeenCalledTimes(1);
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(look).toHaveBeenCalledTimes(1);
});

test('what fails is tried again, later each time', async () => {
  const look = vi.fn().mockRejectedValue(new Error('away'));
  const failed = vi.fn();
  const stop = keepLooking(2000, look, failed);
  await vi.advanceTimersByTimeAsync(2000 + 4000 + 8000);
  expect(look).toHaveBeenCalledTimes(3);
  expect(failed.mock.calls.flat()).toEqual([1, 2, 3]);
  stop();
});
