import type { Video } from '../api.js';

/** Whether a video's state will change without its owner. */
export function isMoving(video: Pick<Video, 'state'>): boolean {
  return video.state === 'uploading' || video.state === 'queued' || video.state === 'packaging';
}

/** Whether its preparation can be called off: until all of it is there, and only then. */
export function canCancel(video: Pick<Video, 'state'>): boolean {
  return video.state === 'queued' || video.state === 'packaging';
}

/** The bar's value in percent; nothing is done before a worker has begun. */
export function percentOf(video: Pick<Video, 'state' | 'progress'>): number {
  return video.state === 'queued' ? 0 : video.progress;
}
