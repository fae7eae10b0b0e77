import { expect, test } from 'vitest';
import { canCancel, isMoving, percentOf, speedOf, wordOf } from './stage.js';

const at = (state: 'uploading' | 'queued' | 'packaging' | 'ready' | 'failed', plays = false) =>
  ({ state, plays, failure: null }) as const;

test('what plays before it is finished says so, and what its owner has stopped did not fail', () => {
  expect([at('packaging'), at('packaging', true), at('ready', true)].map(wordOf)).toEqual(['packaging', 'plays', 'ready']);
  expect(wordOf({ ...at('failed'), failure: { code: 'cancelled', text: '' } })).toBe('cancelled');
  expect(wordOf({ ...at('failed'), failure: { code: 'truncated', text: '' } })).toBe('failed');
});

test('only what is under way is looked at again and can be called off', () => {
  const all = [at('uploading'), at('queued'), at('packaging'), at('ready'), at('failed')];
  expect(all.map(isMoving)).toEqual([true, true, true, false, false]);
  expect(all.map(canCancel)).toEqual([false, true, true, false, false]);
});

test('a bar is empty until a worker has begun, and no figure is nought', () => {
  expect(percentOf({ state: 'queued', progress: 40 })).toBe(0);
  expect(percentOf({ state: 'packaging', progress: 40 })).toBe(40);
  expect([null, 0, 0.04, 2.3].map((speed) => speedOf({ speed }))).toEqual([null, null, null, 2.3]);
});
