import { describe, expect, it } from 'vitest';
import { Pace } from './pace.js';

describe('the pace', () => {
  it('says nothing before it has seen enough', () => {
    const pace = new Pace();
    pace.reached(0, 0);
    pace.reached(1000, 1000);
    expect(pace.secondsTo(10_000)).toBeNull();
  });

  it('goes by the last quarter of a minute', () => {
    const pace = new Pace();
    for (let s = 0; s <= 60; s++) pace.reached(s < 30 ? s * 1000 : 30_000 + (s - 30) * 100, s * 1000);
    expect(pace.secondsTo(33_000 + 100)).toBeCloseTo(1, 5);
  });

  it('begins anew when the server has less than was sent', () => {
    const pace = new Pace();
    pace.reached(0, 0);
    pace.reached(9000, 9000);
    pace.reached(4000, 10_000);
    expect(pace.secondsTo(10_000)).toBeNull();
  });
});
