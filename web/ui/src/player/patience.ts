import type { HlsConfig, RetryConfig } from 'hls.js';

const UNAVAILABLE = 503;

/**
 * The edge answers 503 with `Retry-After: 1` when it held a request for as long as it may. The
 * same load then asks again, so that hls.js sees neither an error nor a reason to avoid a level.
 */
export const UNTIL_PREPARED: RetryConfig = {
  // Five minutes of a store that is away, three quarters of an hour of waiting for an encoder.
  maxNumRetry: 300,
  retryDelayMs: 1000,
  maxRetryDelayMs: 1000,
  shouldRetry: (config, retries, _isTimeout, response) =>
    response?.code === UNAVAILABLE && retries < (config?.maxNumRetry ?? 0),
};

/**
 * How long the player waits for segments; the edge holds a request for up to eight seconds. A level that
 * failed is tried again after half a minute: hls.js by itself never does.
 */
export const PATIENCE: Pick<HlsConfig, 'fragLoadPolicy' | 'errorPenaltyExpireMs'> = {
  errorPenaltyExpireMs: 30_000,
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 20_000,
      maxLoadTimeMs: 120_000,
      timeoutRetry: { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 6, retryDelayMs: 1000, maxRetryDelayMs: 8000 },
    },
  },
};

/** Whether a server is away, or cannot answer now: what was asked for is there later. */
export function isAway(code: number | undefined): boolean {
  return code === 0 || (code !== undefined && code >= 500);
}

/**
 * A broadcast outlives a server that is killed and started again, and so does its player, with what it
 * has loaded: hls.js by itself takes a refused connection as the end. `random` keeps those who watch
 * together from asking together.
 */
export function throughOutages(
  random: number,
): Pick<HlsConfig, 'manifestLoadPolicy' | 'playlistLoadPolicy' | 'fragLoadPolicy' | 'errorPenaltyExpireMs'> {
  const errorRetry: RetryConfig = {
    // Longer than an event waits for its publisher; picture and sound count together.
    maxNumRetry: 300,
    retryDelayMs: 500 * (0.75 + random / 2),
    maxRetryDelayMs: 2000 * (0.75 + random / 2),
    shouldRetry: (config, retries, isTimeout, response) =>
      (isTimeout || isAway(response?.code)) && retries < (config?.maxNumRetry ?? 0),
  };
  const timeoutRetry: RetryConfig = { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 };
  const playlists = { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry, errorRetry };
  return {
    // The gap of an outage counts as a failure of the level that was watched; it is over when that is.
    errorPenaltyExpireMs: 5000,
    manifestLoadPolicy: { default: playlists },
    playlistLoadPolicy: { default: playlists },
    fragLoadPolicy: { default: { ...PATIENCE.fragLoadPolicy.default, errorRetry } },
  };
}
