import { videos, type Playback } from '../api.js';

type Fetch = (id: string, version: string) => Promise<Playback>;

/**
 * The right to play one video, renewed at half of its life.
 *
 * Renewal happens when a request needs it, not on a timer: a paused player asks for nothing.
 */
export class Lease {
  #taken: number;
  #renewal: Promise<void> | null = null;

  /** `playback` is the first grant; the page came with it. */
  constructor(
    private readonly id: string,
    private playback: Playback,
    private readonly fetch: Fetch = videos.playback,
    private readonly now: () => number = Date.now,
  ) {
    this.#taken = now();
  }

  get url(): string {
    return this.playback.url;
  }

  get foreignUrl(): string {
    return this.playback.foreign_url;
  }

  /** The bearer token for a request that leaves now; waits only when the old one is over. */
  async token(): Promise<string | null> {
    const { expires_at } = this.playback;
    if (expires_at !== null && this.playback.token !== null) {
      const now = this.now();
      // A renewal that fails early is tried again by the next request; the old token still works.
      if (now >= expires_at) await this.renew();
      else if (now >= this.#taken + (expires_at - this.#taken) / 2) void this.renew().catch(() => undefined);
    }
    return this.playback.token;
  }

  /** Takes a new grant now; callers at the same time share one request. */
  renew(): Promise<void> {
    this.#renewal ??= this.fetch(this.id, versionOf(this.url))
      .then((playback) => {
        // A better version may have taken its place; this player goes on with what it has begun.
        this.playback = { ...playback, url: this.playback.url };
        this.#taken = this.now();
      })
      .finally(() => (this.#renewal = null));
    return this.#renewal;
  }
}

/** The version in `/v/{video}/{version}/multivariant.m3u8`, or the same under `/live/`. */
function versionOf(url: string): string {
  return url.split('/')[3] ?? '';
}
