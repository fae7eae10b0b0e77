import { expect, test } from 'vitest';
import { wayOut } from './stillness.js';

const hole = [
  { start: 0, end: 10 },
  { start: 15, end: 17 },
];

test('who stands before a gap goes on behind it when hls.js has not done so', () => {
  const at = (forMs: number) => wayOut({ time: 9.98, forMs, buffered: hole, live: null });
  expect([at(0), at(2999), at(3000)]).toEqual([null, null, 15.05]);
});

test('in an outage there is nothing behind the gap', () => {
  expect(wayOut({ time: 9.98, forMs: 60_000, buffered: [{ start: 0, end: 10 }], live: null })).toBeNull();
  expect(wayOut({ time: 0, forMs: 60_000, buffered: [], live: null })).toBeNull();
});

test('who has enough to play is left alone, and nobody goes on to a snippet', () => {
  expect(wayOut({ time: 5, forMs: 60_000, buffered: hole, live: null })).toBeNull();
  const snippet = [
    { start: 0, end: 10 },
    { start: 12, end: 12.3 },
  ];
  expect(wayOut({ time: 9.98, forMs: 5000, buffered: snippet, live: null })).toBeNull();
});

test('when there is more and nothing loads it, it goes live', () => {
  const at = (forMs: number, live: number) => wayOut({ time: 9.98, forMs, buffered: [{ start: 0, end: 10 }], live });
  expect([at(5999, 20), at(6000, 20), at(6000, 10)]).toEqual([null, 20, null]);
});
