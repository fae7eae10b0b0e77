import type { Video } from '../api.js';

/** Whether a video's state will change without its owner. */
export function isMoving(video: Pick<Video, 'state'>): boolean {
  return video.state === 'uploading' || video.state === 'queued' || video.state === 'packaging';
}

/** Milliseconds until the next look: often while something moves, slower when answers fail. */
export function nextLook(failures: number): number {
  return Math.min(30_000, 2_000 * 2 ** failures);
}
