/** How far behind the broadcast somebody watches: parts, whole segments, or as few bytes as possible. */
export type Latency = 'low' | 'normal' | 'saver';

export const LATENCIES: Latency[] = ['low', 'normal', 'saver'];

export function isLatency(word: string | null): word is Latency {
  return LATENCIES.includes(word as Latency);
}

/** The playlist of a view: the low one stands where the grant says, the others beside it. */
export function viewOf(multivariant: string, latency: Latency): string {
  if (latency === 'low') return multivariant;
  return multivariant.replace(/multivariant\.m3u8$/, `${latency}/multivariant.m3u8`);
}

/** Seconds behind the live edge that still count as live. */
export const AT_EDGE_S = 4;

/** How far behind the broadcast a position is, in whole seconds; 0 at its edge. */
export function behind(position: number, edge: number | null): number {
  if (edge === null || !Number.isFinite(edge)) return 0;
  const seconds = edge - position;
  return seconds > AT_EDGE_S ? Math.round(seconds) : 0;
}

/** Milliseconds before the n-th try to connect again: never in step with everybody else's. */
export function nextTry(tries: number, random: number): number {
  return Math.min(8000, 1000 * 2 ** tries) * (0.75 + random / 2);
}

/** The first segment that a playlist lists. */
export interface Listed {
  sn: number;
  /** Where it begins in the player's film, in seconds. */
  start: number;
  /** When it was made, in milliseconds since 1970. */
  date: number | null;
}

/** How long pictures had come in when an event could first be seen: a segment and two parts. */
const SEEN_AFTER_MS = 2700;

/**
 * The moment of the player's film, in seconds, that lies `ms` behind the beginning of the event. The first
 * segment of all begins there; where it is not listed any more, the time tells when that was.
 */
export function place(ms: number, first: Listed, beganAt: number | null): number | null {
  if (first.sn === 0) return first.start + ms / 1000;
  if (first.date === null || beganAt === null) return null;
  const at = beganAt - SEEN_AFTER_MS + ms;
  // What is not listed cannot be gone back to.
  return first.start + Math.max(0, at - first.date) / 1000;
}
