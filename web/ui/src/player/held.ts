/** The header by which the edge says for how many milliseconds it held a request back. */
export const HELD = 'Cocuyo-Held';

/** When a request left and when its answer began: the part of hls.js's figures that decides about slowness. */
export interface Loading {
  start: number;
  first: number;
}

/** Is told, as often as it likes, whether a request waits for a piece that is being prepared. */
export type Waiting = (isWaiting: boolean) => void;

/** So long a request may be without an answer before it counts as waiting for a piece. */
const SIGN_MS = 1000;
/** hls.js gives a request up for a lower quality after two seconds at the earliest. */
const TICK_MS = 250;

/** The milliseconds of the header; 0 for what is none. */
export function heldMs(header: string | null): number {
  const ms = Number(header);
  return Number.isFinite(ms) && ms > 0 ? ms : 0;
}

/**
 * When a request left, as far as the network is concerned: what the server held it back for is
 * added. An answer that came sooner than that is a cache's, and speaks of somebody else's request.
 */
export function leftAt(sentMs: number, answeredMs: number, held: number): number {
  return sentMs + held <= answeredMs ? sentMs + held : sentMs;
}

/**
 * Keeps the time for which the server holds a request back out of `loading`.
 *
 * Until the answer begins nobody knows whether the network or the encoder is slow. While
 * `isGrowing` the clock therefore stands still, so that hls.js doesn't give the request up for a
 * lower quality, which would be held as well. The answer's header then tells what to take off.
 */
export function discountHold(
  request: XMLHttpRequest,
  loading: Loading,
  isGrowing: () => boolean,
  waiting: Waiting,
  now: () => number = () => performance.now(),
): void {
  let sent = now();
  let timer: ReturnType<typeof setInterval> | undefined;
  request.addEventListener('loadstart', () => {
    sent = now();
    timer = setInterval(() => {
      if (!isGrowing()) return;
      loading.start = now();
      if (now() - sent >= SIGN_MS) waiting(true);
    }, TICK_MS);
  });
  request.addEventListener('readystatechange', () => {
    if (request.readyState !== 2) return;
    clearInterval(timer);
    loading.start = leftAt(sent, now(), heldMs(request.getResponseHeader(HELD)));
    // 503: the piece is not there yet and is asked for again in a moment.
    waiting(request.status === 503 && isGrowing());
  });
  request.addEventListener('loadend', () => clearInterval(timer));
}
