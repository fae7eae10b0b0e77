import type { Event } from '../api.js';

/** What a viewer sees of an event. */
export type Phase =
  /** Nothing yet. */
  | 'soon'
  | 'on_air'
  /** It goes on; its publisher is away. */
  | 'away'
  /** It is over, and its recording will be here. */
  | 'shelving'
  /** Its recording is here. */
  | 'shelved'
  /** It is over, and nothing of it was kept. */
  | 'over';

export function phaseOf(event: Event): Phase {
  if (event.state === 'scheduled') return 'soon';
  if (event.state === 'live') return event.on_air ? 'on_air' : 'away';
  if (event.video.state === 'ready') return 'shelved';
  return event.record && event.video.state === 'event' ? 'shelving' : 'over';
}

/** Milliseconds until the event is to be asked for again; sooner when something is about to change. */
export function paceOf(phase: Phase, startsInMs: number | null): number {
  if (phase === 'shelving' || phase === 'away') return 3000;
  if (phase === 'soon' && (startsInMs === null || startsInMs > 120_000)) return 30_000;
  return phase === 'soon' ? 5000 : 10_000;
}

/** Whether anything is still to be waited for. */
export function isMoving(phase: Phase): boolean {
  return phase !== 'shelved' && phase !== 'over';
}
