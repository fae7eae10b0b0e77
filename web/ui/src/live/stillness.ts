/** What a player that stands still may look at. All times are moments of the film, in seconds. */
export interface Still {
  /** Where it stands, and for how many milliseconds already. */
  time: number;
  forMs: number;
  /** What it has loaded, in order. */
  buffered: { start: number; end: number }[];
}

/** hls.js steps over the gap of an outage by itself, at once, unless it has lost track of what it loaded there. */
const PATIENCE_MS = 3000;
/** What it steps to has to last so long. */
const WORTH_S = 0.5;
/** So far behind the beginning of that, as hls.js does. */
const PADDING_S = 0.05;

/** Where a player goes on that stands before a gap behind which there is more; null where it does not. */
export function wayOut({ time, forMs, buffered }: Still): number | null {
  if (forMs < PATIENCE_MS) return null;
  // A decoder that has enough and does not go on is hls.js's business.
  if (buffered.some(({ start, end }) => start <= time && end - time > WORTH_S)) return null;
  const next = buffered.find(({ start, end }) => start > time && end - start >= WORTH_S);
  return next ? next.start + PADDING_S : null;
}
