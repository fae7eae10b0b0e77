import { expect, test } from 'vitest';
import { wayOut, type Track } from './stillness.js';

const hole = [
  { start: 0, end: 10 },
  { start: 15, end: 17 },
];
const whole = hole.slice(0, 1);

/** Nothing more of it is loaded. */
const lacks = (state: Track['state'], from: number | null = null): Track => ({ aheadS: 0.02, state, from });
/** There is more of it than is played. */
const has = (state: Track['state'], from: number | null = null): Track => ({ aheadS: 7, state, from });

test('who stands before a gap goes on behind it when hls.js has not done so', () => {
  const at = (forMs: number) => wayOut({ time: 9.98, forMs, buffered: hole, tracks: [lacks('IDLE')], live: null });
  expect([at(0), at(2999), at(3000)]).toEqual([null, null, 15.05]);
});

test('in an outage there is nothing behind the gap', () => {
  const still = { forMs: 60_000, tracks: [lacks('IDLE'), lacks('IDLE')], live: null };
  expect(wayOut({ ...still, time: 9.98, buffered: whole })).toBeNull();
  expect(wayOut({ ...still, time: 0, buffered: [] })).toBeNull();
});

test('who has enough to play is left alone, and nobody goes on to a snippet', () => {
  const still = { tracks: [lacks('IDLE')], live: null };
  expect(wayOut({ ...still, time: 5, forMs: 60_000, buffered: hole })).toBeNull();
  const snippet = [
    { start: 0, end: 10 },
    { start: 12, end: 12.3 },
  ];
  expect(wayOut({ ...still, time: 9.98, forMs: 5000, buffered: snippet })).toBeNull();
});

test('when there is more and nothing loads it, it goes live', () => {
  const at = (forMs: number, live: number) =>
    wayOut({ time: 9.98, forMs, buffered: whole, tracks: [lacks('IDLE'), lacks('STOPPED')], live });
  expect([at(5999, 20), at(6000, 20), at(6000, 10)]).toEqual([null, 20, null]);
});

test('only what loads the missing track is waited for', () => {
  const cases: [pictures: Track, sound: Track | null, way: number | null][] = [
    [lacks('FRAG_LOADING', 10), null, null],
    [lacks('IDLE'), null, 20],
    // Sound that is on its way over a bad line, while the pictures are there.
    [has('IDLE'), lacks('FRAG_LOADING', 10), null],
    [has('FRAG_LOADING', 17), lacks('FRAG_LOADING_WAITING_RETRY', 10), null],
    [has('IDLE'), lacks('WAITING_TRACK'), null],
    // Pictures go on, and the sound for them does not come.
    [has('FRAG_LOADING', 17), lacks('IDLE'), 20],
    [has('FRAG_LOADING', 17), lacks('STOPPED'), 20],
    [has('FRAG_LOADING', 17), lacks('WAITING_INIT_PTS', 10), 20],
    // And the other way round.
    [lacks('FRAG_LOADING', 10), has('IDLE'), null],
    [lacks('WAITING_LEVEL', 4), has('IDLE'), null],
    [lacks('STOPPED', 4), has('FRAG_LOADING', 17), 20],
    // Sound waits for the pictures, which come.
    [lacks('PARSING', 10), lacks('WAITING_INIT_PTS', 10), null],
    [lacks('FRAG_LOADING', 10), lacks('IDLE'), null],
    [lacks('IDLE'), lacks('WAITING_INIT_PTS', 10), 20],
    // Nothing but sound is published: hls.js loads no pictures.
    [lacks('IDLE'), lacks('FRAG_LOADING', 10), null],
  ];
  for (const [pictures, sound, way] of cases) {
    const tracks = sound ? [pictures, sound] : [pictures];
    expect([tracks, wayOut({ time: 9.98, forMs: 60_000, buffered: whole, tracks, live: 20 })]).toEqual([tracks, way]);
  }
});

test('nobody steps over what is being loaded, whatever is loaded behind it', () => {
  const way = (...tracks: Track[]) => wayOut({ time: 9.98, forMs: 60_000, buffered: hole, tracks, live: 20 });
  // Who went back in the film has the live edge behind the hole.
  expect(way(lacks('FRAG_LOADING', 10), has('IDLE'))).toBeNull();
  expect(way(has('IDLE'), lacks('FRAG_LOADING', 12))).toBeNull();
  expect(way(lacks('WAITING_LEVEL', 17), has('IDLE'))).toBeNull();
  // What is loaded goes on from there.
  expect(way(lacks('FRAG_LOADING', 15), lacks('FRAG_LOADING', 14.9))).toBe(15.05);
  expect(way(lacks('FRAG_LOADING', 17), has('FRAG_LOADING', 10))).toBe(15.05);
});
