import { describe, expect, it } from 'vitest';
import { costOf, isOffered, levelOf, renewed, saverQuality, type Quality } from './quality.js';

const ladder: Quality[] = [
  { name: '720p', height: 720, mb_per_minute: 12, whole: true },
  { name: '360p', height: 360, mb_per_minute: 4, whole: true },
  { name: '240p', height: 240, mb_per_minute: 2, whole: true },
  { name: '144p', height: 144, mb_per_minute: 0.6, whole: true },
];

describe('the data saver', () => {
  it('takes the best picture of at most 240 lines', () => {
    expect(saverQuality(ladder)?.name).toBe('240p');
  });

  it('takes the smallest there is when all are larger', () => {
    expect(saverQuality(ladder.slice(0, 2))?.name).toBe('360p');
    expect(saverQuality([])).toBeUndefined();
  });
});

describe('the cost of a minute', () => {
  it('is what the choice uses at most', () => {
    const sound = { name: 'a64', mb_per_minute: 0.5 };
    const costs = ['auto', '360p', 'saver', 'audio', '1080p'].map((choice) => costOf(choice, ladder, sound));
    expect(costs).toEqual([12, 4, 2, 0.5, undefined]);
    expect(costOf('audio', ladder, null)).toBeUndefined();
  });
});

describe('levels', () => {
  it('are told apart by whole names in their URLs', () => {
    const urls = ['/v/a/b/1440p/playlist.m3u8', '/v/a/b/144p/playlist.m3u8'];
    expect(levelOf('144p', urls)).toBe(1);
    expect(levelOf('44p', urls)).toBe(-1);
  });
});

describe('of a film in the making', () => {
  const growing = ladder.map((quality) => ({ ...quality, whole: false }));

  it('the upper pictures are offered when all of them is there, the lower ones at once', () => {
    expect(growing.filter(isOffered).map(({ name }) => name)).toEqual(['360p', '240p', '144p']);
    const now = renewed(growing, [
      { name: '720p', whole: true, mb_per_minute: 11 },
      { name: '1080p', whole: true, mb_per_minute: 20 },
    ]);
    expect(now.filter(isOffered).map(({ name }) => name)).toEqual(['720p', '360p', '240p', '144p']);
    expect(now.map((quality) => quality.mb_per_minute)).toEqual([11, 4, 2, 0.6]);
  });
});
