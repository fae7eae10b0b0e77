import { XhrLoader, type FragmentLoaderConstructor, type LoaderCallbacks, type LoaderConfiguration, type LoaderContext, type RetryConfig } from 'hls.js';
import { discountHold, type Waiting } from './held.js';

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

/** Loads segments that may still be in the making; `waiting` hears whether one is waited for. */
export function segmentLoader(isGrowing: () => boolean, waiting: Waiting): FragmentLoaderConstructor {
  const open = new Set<SegmentLoader>();
  const tell = (loader: SegmentLoader, isWaiting: boolean) => {
    if (isWaiting) open.add(loader);
    else open.delete(loader);
    waiting(open.size > 0);
  };

  class SegmentLoader extends XhrLoader {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const loadPolicy = { ...config.loadPolicy, errorRetry: UNTIL_PREPARED };
      super.load(context, { ...config, loadPolicy }, callbacks);
    }

    protected override loadInternal(): void {
      super.loadInternal();
      const request = this.getNetworkDetails();
      if (request instanceof XMLHttpRequest) {
        discountHold(request, this.stats.loading, isGrowing, (isWaiting) => tell(this, isWaiting));
      }
    }

    // Not `abortInternal`, through which every retry goes.
    override abort(): void {
      super.abort();
      tell(this, false);
    }

    override destroy(): void {
      super.destroy();
      tell(this, false);
    }
  }
  return SegmentLoader as FragmentLoaderConstructor;
}
