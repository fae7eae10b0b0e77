import { describe, expect, it } from 'vitest';
import { costOf, levelOf, saverQuality, type Quality } from './quality.js';

const ladder: Quality[] = [
  { name: '720p', height: 720, mb_per_minute: 12 },
  { name: '360p', height: 360, mb_per_minute: 4 },
  { name: '240p', height: 240, mb_per_minute: 2 },
  { name: '144p', height: 144, mb_per_minute: 0.6 },
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
