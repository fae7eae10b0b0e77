import { expect, test } from 'vitest';
import type { Event } from '../api.js';
import { isMoving, paceOf, phaseOf } from './phase.js';

const event = (state: string, onAir: boolean, video: string, record = true) =>
  ({ state, on_air: onAir, record, video: { state: video } }) as Event;

test('an event is soon, on air, away, and then on the shelf or over', () => {
  const cases = [
    [event('scheduled', false, 'event'), 'soon'],
    [event('live', true, 'event'), 'on_air'],
    [event('live', false, 'event'), 'away'],
    [event('ended', false, 'event'), 'shelving'],
    [event('ended', false, 'event', false), 'over'],
    [event('ended', false, 'ready'), 'shelved'],
    [event('ended', false, 'ended'), 'over'],
  ] as const;
  for (const [given, phase] of cases) expect(phaseOf(given)).toBe(phase);
  expect(cases.map(([, phase]) => isMoving(phase))).toEqual([true, true, true, true, false, false, false]);
});

test('what is about to change is asked for more often', () => {
  expect(paceOf('soon', 3_600_000)).toBe(30_000);
  expect(paceOf('soon', null)).toBe(30_000);
  expect(paceOf('soon', 60_000)).toBe(5000);
  expect(paceOf('soon', -5000)).toBe(5000);
  expect(paceOf('on_air', null)).toBe(10_000);
  expect(paceOf('away', null)).toBe(3000);
});
