import {
  XhrLoader,
  type FragmentLoaderConstructor,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
} from 'hls.js';
import { discountHold, type Waiting } from './held.js';
import { UNTIL_PREPARED } from './patience.js';

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
