import { expect, test } from 'vitest';
import { currentOf, lines } from './chapters.js';

const chapters = [
  { start_ms: 5000, title: 'Intro' },
  { start_ms: 65_500, title: 'Entrevista' },
  { start_ms: 3_723_000, title: 'Fin' },
];

test('a chapter lasts until the next one begins', () => {
  const cases: [number, number][] = [
    [0, -1],
    [5000, 0],
    [65_499, 0],
    [65_500, 1],
    [9_999_999, 2],
  ];
  for (const [at, current] of cases) expect(currentOf(chapters, at), String(at)).toBe(current);
  expect(currentOf([], 5)).toBe(-1);
});

test('a form has one on each line', () => {
  expect(lines(chapters)).toBe('0:05 Intro\n1:05.500 Entrevista\n1:02:03 Fin\n');
});
