import type { Video } from '../api.js';

/** Whether a video's state will change without its owner. */
export function isMoving(video: Pick<Video, 'state'>): boolean {
  return video.state === 'uploading' || video.state === 'queued' || video.state === 'packaging';
}

/** Whether its preparation can be called off: until all of it is there, and only then. */
export function canCancel(video: Pick<Video, 'state'>): boolean {
  return video.state === 'queued' || video.state === 'packaging';
}

/** The word for where it is, as its owner would say it. */
export type Word = Video['state'] | 'plays' | 'cancelled';

export function wordOf(video: Pick<Video, 'state' | 'plays' | 'failure'>): Word {
  if (video.failure?.code === 'cancelled') return 'cancelled';
  return video.plays && video.state !== 'ready' && video.state !== 'event' ? 'plays' : video.state;
}

/** Below this much of the film's own speed a figure would be nought. */
const LEAST_SPEED = 0.05;

/** How much faster than the film it is made, if that can be told in a figure. */
export function speedOf(video: Pick<Video, 'speed'>): number | null {
  return video.speed !== null && video.speed >= LEAST_SPEED ? video.speed : null;
}

/** The bar's value in percent; nothing is done before a worker has begun. */
export function percentOf(video: Pick<Video, 'state' | 'progress'>): number {
  return video.state === 'queued' ? 0 : video.progress;
}
