/** Milliseconds until the next look: at the usual pace, slower when answers fail. */
export function nextLook(paceMs: number, failures: number): number {
  return Math.min(Math.max(30_000, paceMs), paceMs * 2 ** failures);
}

/**
 * Looks again and again while somebody sees the page, and at once when they come back to it.
 *
 * `look` answers whether there is anything left to wait for; when it fails it is asked later and
 * later. Returns how to stop.
 */
export function keepLooking(paceMs: number, look: () => Promise<boolean>, failed: (times: number) => void = () => undefined): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let isOver = false;
  let isLooking = false;

  const again = () => {
    clearTimeout(timer);
    if (!isOver && !document.hidden) timer = setTimeout(() => void now(), nextLook(paceMs, failures));
  };
  const now = async () => {
    if (isOver || isLooking) return;
    isLooking = true;
    try {
      isOver ||= !(await look());
      failures = 0;
    } catch {
      failures += 1;
    }
    isLooking = false;
    failed(failures);
    if (isOver) stop();
    else again();
  };
  const seen = () => {
    if (document.hidden) clearTimeout(timer);
    else void now();
  };
  const stop = () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
  document.addEventListener('visibilitychange', seen);
  again();
  return stop;
}
