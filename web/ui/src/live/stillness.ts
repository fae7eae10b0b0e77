/** What a player that stands still may look at. All times are moments of the film, in seconds. */
export interface Still {
  /** Where it stands, and for how many milliseconds already. */
  time: number;
  forMs: number;
  /** What it has loaded, in order. */
  buffered: { start: number; end: number }[];
  /** Where it would be if it were live; null while nobody publishes, and while it loads what comes next. */
  live: number | null;
}

/** hls.js steps over the gap of an outage by itself, at once, unless it has lost track of what it loaded there. */
const PATIENCE_MS = 3000;
/** And it loads what is behind a gap by itself, but for once in fifty times. */
const LOADING_PATIENCE_MS = 6000;
/** What it steps to has to last so long. */
const WORTH_S = 0.5;
/** So far behind the beginning of that, as hls.js does. */
const PADDING_S = 0.05;

/** Where a player goes on that stands before a gap behind which there is more; null where it does not. */
export function wayOut({ time, forMs, buffered, live }: Still): number | null {
  if (forMs < PATIENCE_MS) return null;
  // A decoder that has enough and does not go on is hls.js's business.
  if (buffered.some(({ start, end }) => start <= time && end - time > WORTH_S)) return null;
  const next = buffered.find(({ start, end }) => start > time && end - start >= WORTH_S);
  if (next) return next.start + PADDING_S;
  return forMs >= LOADING_PATIENCE_MS && live !== null && live > time + WORTH_S ? live : null;
}
