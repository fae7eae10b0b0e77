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

/** How long the player waits for segments; the edge holds a request for up to eight seconds. */
export const PATIENCE: Pick<HlsConfig, 'fragLoadPolicy'> = {
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 20_000,
      maxLoadTimeMs: 120_000,
      timeoutRetry: { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 6, retryDelayMs: 1000, maxRetryDelayMs: 8000 },
    },
  },
};
