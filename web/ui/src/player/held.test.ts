import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { discountHold, heldMs, leftAt, type Loading } from './held.js';

/** As much of a request as the hold sees. */
class Request extends EventTarget {
  readyState = 1;
  status = 0;
  held: string | null = null;

  getResponseHeader(): string | null {
    return this.held;
  }

  send() {
    this.dispatchEvent(new Event('loadstart'));
  }

  answer(status: number, held: string | null) {
    Object.assign(this, { readyState: 2, status, held });
    this.dispatchEvent(new Event('readystatechange'));
  }
}

let request: Request;
let loading: Loading;
let isGrowing: boolean;
const waiting = vi.fn();

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  waiting.mockClear();
  isGrowing = true;
  request = new Request();
  loading = { start: Date.now(), first: 0 };
  discountHold(request as unknown as XMLHttpRequest, loading, () => isGrowing, waiting, Date.now);
});

afterEach(() => vi.useRealTimers());

test('a header that says nothing takes nothing off', () => {
  const values = [null, '', '0', '-5', 'soon', 'Infinity', '8000', '12.5'];
  expect(values.map(heldMs)).toEqual([0, 0, 0, 0, 0, 0, 8000, 12.5]);
});

test('a request leaves later by what it was held for, unless a cache answers', () => {
  expect(leftAt(1000, 9500, 8000)).toBe(9000);
  expect(leftAt(1000, 1200, 8000)).toBe(1000);
});

test('of a held answer only the network is counted', () => {
  request.send();
  vi.advanceTimersByTime(6300);
  request.answer(200, '6000');
  expect(Date.now() - loading.start).toBe(300);
  vi.advanceTimersByTime(5000);
  expect(loading.start).toBe(6000);
});

test('a slow answer that was not held stays slow', () => {
  request.send();
  vi.advanceTimersByTime(4000);
  request.answer(200, null);
  expect(loading.start).toBe(0);
});

test('while nothing comes the request never looks older than hls.js bears', () => {
  request.send();
  vi.advanceTimersByTime(7999);
  expect(Date.now() - loading.start).toBeLessThan(2000);
  expect(waiting.mock.lastCall).toEqual([true]);
  request.dispatchEvent(new Event('loadend'));
  const { start } = loading;
  vi.advanceTimersByTime(5000);
  expect(loading.start).toBe(start);
});

test('of a film that is whole the clock runs on', () => {
  isGrowing = false;
  request.send();
  vi.advanceTimersByTime(5000);
  expect(loading.start).toBe(0);
  expect(waiting).not.toHaveBeenCalled();
});

test('the wait is told after a second, goes on over a refusal, and ends with the piece', () => {
  request.send();
  vi.advanceTimersByTime(900);
  expect(waiting).not.toHaveBeenCalled();
  vi.advanceTimersByTime(7100);
  request.answer(503, '8000');
  expect(waiting.mock.lastCall).toEqual([true]);
  request.answer(200, '100');
  expect(waiting.mock.lastCall).toEqual([false]);
});
