import type { InFlightData } from 'hls.js';

/** What hls.js does for the pictures, or for the sound that comes apart from them. */
export interface Track {
  /** How many seconds of it are loaded from where the player stands. */
  aheadS: number;
  state: InFlightData['state'];
  /** Where the fragment begins that it is about; null for none. */
  from: number | null;
}

/** What a player that stands still may look at. All times are moments of the film, in seconds. */
export interface Still {
  /** Where it stands, and for how many milliseconds already. */
  time: number;
  forMs: number;
  /** What it could play, in order: where pictures and sound are loaded. */
  buffered: { start: number; end: number }[];
  tracks: Track[];
  /** Where it would be if it were live; null while nobody publishes. */
  live: number | null;
}

/** hls.js steps over the gap of an outage by itself, at once, unless it has lost track of what it loaded there. */
const PATIENCE_MS = 3000;
/** And it loads what is behind a gap by itself, but for once in fifty times. */
const LOADING_PATIENCE_MS = 6000;
/** What it steps to has to last so long, and who has so much lacks nothing. */
const WORTH_S = 0.5;
/** So far behind the beginning of that, as hls.js does. */
const PADDING_S = 0.05;

/** In these nothing is loaded: sound that waits for the pictures' clock comes no sooner than they do. */
const RESTING: Track['state'][] = ['IDLE', 'STOPPED', 'ERROR', 'ENDED', 'WAITING_INIT_PTS'];

/** Where a player goes on that stands before a gap behind which there is more; null where it does not. */
export function wayOut({ time, forMs, buffered, tracks, live }: Still): number | null {
  if (forMs < PATIENCE_MS) return null;
  // A decoder that has enough and does not go on is hls.js's business.
  if (buffered.some(({ start, end }) => start <= time && end - time > WORTH_S)) return null;
  const next = buffered.find(({ start, end }) => start > time && end - start >= WORTH_S);
  if (tracks.some((track) => isComing(track, next?.start ?? Infinity))) return null;
  if (next) return next.start + PADDING_S;
  return forMs >= LOADING_PATIENCE_MS && live !== null && live > time + WORTH_S ? live : null;
}

/** Whether a track lacks something that is being loaded, and that lies before this moment. */
function isComing({ aheadS, state, from }: Track, before: number): boolean {
  if (aheadS > WORTH_S || RESTING.includes(state)) return false;
  // Without its playlist it does not know yet what to load.
  return state.startsWith('WAITING') || from === null || from + WORTH_S < before;
}
