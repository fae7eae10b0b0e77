import Hls, { ErrorTypes, Events, type BufferInfo, type ErrorData, type HlsConfig, type InFlightData } from 'hls.js';
import { asOneFamily } from '../player/codecs.js';
import { failureOf, failureOfStatus, type Failure } from '../player/failure.js';
import { FrameWatch } from '../player/frames.js';
import type { Lease } from '../player/lease.js';
import { isAway, throughOutages } from '../player/patience.js';
import { StandingChoice } from '../player/standing.js';
import { nextTry, place, viewOf, type Latency } from './latency.js';
import { wayOut, type Track } from './stillness.js';

export interface Broadcast {
  lease: Lease;
  /** It will not play. */
  onFailure: (failure: Failure, code: string) => void;
  /** The connection is lost and tried again, or there again. */
  onReconnecting: (isReconnecting: boolean) => void;
  /** The heights of its pictures, in lines; 0 where that is not known. */
  onHeights: (heights: number[]) => void;
  /** All of it was played: the event is over. */
  onEnd: () => void;
}

export interface Engine {
  /** The moment of the film to which going live leads, in seconds; `null` while unknown. */
  edge(): number | null;
  /** The moment of the film that lies `ms` behind the beginning of the event, which began to be seen `beganAt`. */
  placeOf(ms: number, beganAt: number | null): number | null;
  /** Another latency, in which the player decides about the height. */
  setLatency(latency: Latency): void;
  /** The height of the picture to stay with, in lines; null lets the player decide. */
  setHeight(height: number | null): void;
  /** Connects again now. */
  retry(): void;
  destroy(): void;
}

/** Plays a broadcast in `video` by the first way that this browser has. */
export function start(video: HTMLVideoElement, broadcast: Broadcast, latency: Latency): Engine {
  return Hls.isSupported() ? new LiveEngine(video, broadcast, latency) : nativeEngine(video, broadcast, latency);
}

/** Between two looks at whether the player moves. */
const LOOK_MS = 500;

class LiveEngine implements Engine {
  #hls: Hls;
  #looks: ReturnType<typeof setInterval>;
  /** Where it stands, and since when. */
  #stands = { time: 0, since: performance.now() };
  #tries = 0;
  /** Whether it waits for another grant, or there is none. */
  #isRefused = false;
  #recoveries = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #height: number | null = null;
  #standing = new StandingChoice(() => this.#choose());

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly broadcast: Broadcast,
    private latency: Latency,
  ) {
    this.#hls = this.#open();
    this.#looks = setInterval(() => this.#look(performance.now()), LOOK_MS);
    video.addEventListener('ended', broadcast.onEnd);
  }

  edge(): number | null {
    return this.#hls.liveSyncPosition;
  }

  placeOf(ms: number, beganAt: number | null): number | null {
    const first = this.#hls.latestLevelDetails?.fragments[0];
    if (!first) return null;
    return place(ms, { sn: Number(first.sn), start: first.start, date: first.programDateTime }, beganAt);
  }

  setLatency(latency: Latency): void {
    this.latency = latency;
    this.#height = null;
    this.retry();
  }

  setHeight(height: number | null): void {
    this.#height = height;
    this.#standing.forget();
    this.#choose();
  }

  #choose(): void {
    // Of several with the same height the cheapest stands first.
    this.#hls.nextLevel = this.#hls.levels.findIndex(({ height }) => height === this.#height);
  }

  retry(): void {
    clearTimeout(this.#again);
    this.#standing.forget();
    this.#isRefused = false;
    const { paused } = this.video;
    this.#hls.destroy();
    this.#hls = this.#open();
    if (!paused) void this.video.play().catch(() => undefined);
  }

  destroy(): void {
    this.#standing.forget();
    clearInterval(this.#looks);
    clearTimeout(this.#again);
    this.video.removeEventListener('ended', this.broadcast.onEnd);
    this.#hls.destroy();
  }

  #look(now: number): void {
    const { paused, ended, currentTime: time, buffered } = this.video;
    if (paused || ended || time !== this.#stands.time) this.#stands = { time, since: now };
    const ranges = Array.from({ length: buffered.length }, (_, n) => ({ start: buffered.start(n), end: buffered.end(n) }));
    const forMs = now - this.#stands.since;
    const next = wayOut({ time, forMs, buffered: ranges, tracks: this.#tracks(), live: this.#live() });
    if (next === null) return;
    if (!ranges.some(({ start, end }) => start <= next && next < end)) {
      // It forgets what it holds against its levels, too.
      this.#hls.stopLoad();
      this.#hls.startLoad(next);
    }
    this.video.currentTime = next;
  }

  /** What hls.js does for the pictures and for the sound. Where they come together, it does nothing for the sound. */
  #tracks(): Track[] {
    const { inFlightFragments, mainForwardBufferInfo, audioForwardBufferInfo } = this.#hls;
    const track = ({ state, frag }: InFlightData, info: BufferInfo | null): Track => ({
      aheadS: info?.len ?? 0,
      state,
      from: frag?.start ?? null,
    });
    const { main, audio } = inFlightFragments;
    return [track(main, mainForwardBufferInfo), ...(audio ? [track(audio, audioForwardBufferInfo)] : [])];
  }

  /** Where it would be if it were live; null while nobody publishes. */
  #live(): number | null {
    const details = this.#hls.latestLevelDetails;
    const last = details?.partList?.at(-1) ?? details?.fragments.at(-1);
    return !last || last.gap ? null : this.#hls.liveSyncPosition;
  }

  #open(): Hls {
    const { lease } = this.broadcast;
    this.#stands = { time: this.video.currentTime, since: performance.now() };
    const isSaving = this.latency === 'saver';
    const config: Partial<HlsConfig> = {
      enableWorker: false,
      lowLatencyMode: this.latency === 'low',
      // Whoever fell behind by a stall comes back to the edge without noticing.
      maxLiveSyncPlaybackRate: this.latency === 'low' ? 1.05 : 1,
      abrEwmaDefaultEstimate: isSaving ? 60_000 : 500_000,
      testBandwidth: false,
      maxBufferLength: isSaving ? 12 : 30,
      backBufferLength: 30,
      capLevelOnFPSDrop: true,
      fpsController: FrameWatch,
      capLevelToPlayerSize: true,
      ...(isSaving && { startLevel: 0 }),
      ...throughOutages(Math.random()),
      xhrSetup: async (xhr, url) => {
        const token = await lease.token().catch((error: unknown) => this.#lost(error));
        xhr.open('GET', url, true);
        // The grant goes to our own origin only, whatever a playlist names.
        if (token && new URL(url, location.href).origin === location.origin) {
          xhr.setRequestHeader('Authorization', `Bearer ${token}`);
        }
      },
    };
    const hls = new Hls(config);
    hls.on(Events.MANIFEST_PARSED, () => {
      asOneFamily(hls.levels);
      this.broadcast.onHeights(hls.levels.map(({ height }) => height));
      if (this.#height !== null) this.#choose();
    });
    hls.on(Events.FRAG_BUFFERED, () => {
      this.#tries = this.#recoveries = 0;
      this.broadcast.onReconnecting(false);
    });
    hls.on(Events.ERROR, (_event, data) => this.#handle(data));
    hls.loadSource(viewOf(lease.url, this.latency));
    hls.attachMedia(this.video);
    return hls;
  }

  /** A grant that is refused is not to be had by asking again, as one is that only the line keeps away. */
  #lost(error: unknown): never {
    const why = failureOf(error);
    if (why !== 'network') {
      this.#hls.stopLoad();
      this.broadcast.onFailure(why, 'grant');
    }
    throw error;
  }

  #handle(data: ErrorData): void {
    const status = data.response?.code ?? 0;
    const code = status ? `${data.details} ${status}` : data.details;
    if (status === 401) return void this.#refused(code);
    if (!data.fatal) {
      this.#standing.failed(this.#height !== null && this.#hls.autoLevelEnabled);
      if (data.type === ErrorTypes.NETWORK_ERROR && isAway(status)) this.broadcast.onReconnecting(true);
      return;
    }
    if (data.type === ErrorTypes.MEDIA_ERROR && this.#recoveries++ < 2) return this.#hls.recoverMediaError();
    if (data.type !== ErrorTypes.NETWORK_ERROR) return this.broadcast.onFailure('media', code);
    if (status === 403) return this.broadcast.onFailure(failureOfStatus(status) ?? 'network', code);
    // An event outlives a server that is away for a while: so does who watches it.
    this.#later(() => this.retry());
  }

  /** The grant ran out while the device slept, or was revoked and may be had anew. */
  async #refused(code: string): Promise<void> {
    // hls.js would go from level to level for ever, and ask for each.
    this.#hls.stopLoad();
    // Picture and sound are refused together.
    if (this.#isRefused) return;
    this.#isRefused = true;
    if (this.#tries > 1) return this.broadcast.onFailure('signed_out', code);
    try {
      await this.broadcast.lease.renew();
    } catch (error) {
      return this.broadcast.onFailure(failureOf(error), code);
    }
    this.#later(() => {
      this.#isRefused = false;
      // What is loaded plays on meanwhile.
      if (this.#hls.levels.length > 0) this.#hls.startLoad();
      else this.retry();
    });
  }

  #later(goOn: () => void): void {
    this.broadcast.onReconnecting(true);
    clearTimeout(this.#again);
    this.#again = setTimeout(goOn, nextTry(this.#tries++, Math.random()));
  }
}

/** Browsers that play the playlist themselves, and know no media source extensions. */
function nativeEngine(video: HTMLVideoElement, broadcast: Broadcast, first: Latency): Engine {
  const { lease } = broadcast;
  const load = (latency: Latency) => {
    if (video.canPlayType('application/vnd.apple.mpegurl') === '') return broadcast.onFailure('unsupported', 'no-source');
    const { paused } = video;
    video.src = viewOf(lease.foreignUrl, latency);
    if (!paused) void video.play().catch(() => undefined);
  };
  const failed = () => broadcast.onFailure(video.error?.code === 2 ? 'network' : 'media', `media-${video.error?.code ?? 0}`);
  video.addEventListener('error', failed);
  video.addEventListener('ended', broadcast.onEnd);
  let current = first;
  load(first);
  return {
    placeOf: (ms) => (video.seekable.length ? video.seekable.start(0) + ms / 1000 : null),
    edge: () => (video.seekable.length ? video.seekable.end(video.seekable.length - 1) : null),
    setLatency: (latency) => load((current = latency)),
    setHeight: () => undefined,
    retry: () => load(current),
    destroy: () => {
      video.removeEventListener('error', failed);
      video.removeEventListener('ended', broadcast.onEnd);
      video.removeAttribute('src');
      video.load();
    },
  };
}
