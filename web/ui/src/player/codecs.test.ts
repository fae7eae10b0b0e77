import { expect, test } from 'vitest';
import { asOneFamily } from './codecs.js';

test('all levels are of the family of the first', () => {
  const levels = [{ codecSet: 'avc1,mp4a' }, { codecSet: 'av01,mp4a' }, { codecSet: 'av01,opus' }];
  asOneFamily(levels);
  expect(new Set(levels.map(({ codecSet }) => codecSet))).toEqual(new Set(['avc1,mp4a']));
  asOneFamily([]);
});
