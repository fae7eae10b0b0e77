import Hls, { ErrorTypes, Events, type ErrorData, type HlsConfig, type MediaDecodingInfo } from 'hls.js';
import { asOneFamily } from './codecs.js';
import { failureOf, failureOfStatus, type Failure } from './failure.js';
import { FrameWatch } from './frames.js';
import type { Lease } from './lease.js';
import { PATIENCE } from './patience.js';
import { isOffered, levelOf, saverQuality, type Choice, type Quality, type Sound } from './quality.js';
import { segmentLoader } from './segments.js';
import { multivariant, playlist } from './source.js';
import { StandingChoice } from './standing.js';

export interface Film {
  lease: Lease;
  qualities: Quality[];
  /** Whether parts of it are still being made. */
  isGrowing: boolean;
  sound: Sound | null;
  /** A plain file for browsers that play no stream. */
  mp4: string | null;
  onFailure: (failure: Failure, code: string) => void;
  /** The rendition on screen has changed. */
  onQuality: (name: string) => void;
  /** What is asked for now is being prepared, or no longer is. */
  onPreparing: (isPreparing: boolean) => void;
}

export interface Engine {
  choose(choice: Choice): void;
  /** More of the film has been made. */
  grown(qualities: Quality[], isGrowing: boolean): void;
  /** Loads again from where it stopped. */
  retry(): void;
  destroy(): void;
}

/** Plays `film` in `video` by the first way that this browser has. */
export function start(video: HTMLVideoElement, film: Film, choice: Choice): Engine {
  // Chromium claims native HLS since 141 and then shows black on some streams, so MSE is asked
  // first and `canPlayType` never decides against it.
  if (Hls.isSupported()) return new StreamEngine(video, film, choice);
  return plainEngine(video, film, choice);
}

function isSaving(choice: Choice): boolean {
  return choice === 'saver' || choice === 'audio';
}

const ESTIMATE_KEY = 'cocuyo:bandwidth';

/** What to begin with, in bit/s, before anything is measured. */
function firstEstimate(): number {
  const stored = Number(localStorage.getItem(ESTIMATE_KEY));
  // Without memory the smallest, so that the first picture comes soon; with it half of what it says,
  // since the line may be another one today.
  return stored > 0 ? Math.min(stored / 2, 5_000_000) : 100_000;
}

/** hls.js passes over what would not play smoothly. What is still being made would not. */
const BEING_MADE: MediaDecodingInfo = {
  supported: true,
  configurations: [],
  decodingInfoResults: [{ supported: true, smooth: false, powerEfficient: false, keySystemAccess: null }],
};

/**
 * The smallest sound has one channel and the others two. hls.js would throw away all that is loaded
 * of the one, and load it again in the other, whenever the picture's quality takes another sound;
 * to the browser it is one stream of AAC that goes on.
 */
function goesOnInAny(tracks: { channels?: string }[]): void {
  for (const track of tracks) track.channels = '2';
}

/** Whether it names a rendition. */
function isNamed(choice: Choice): boolean {
  return choice !== 'auto' && !isSaving(choice);
}

class StreamEngine implements Engine {
  #hls: Hls;
  #choice: Choice;
  #standing = new StandingChoice(() => this.#apply());
  #recoveries = 0;
  #lastRecovery = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly film: Film,
    choice: Choice,
  ) {
    this.#choice = choice;
    this.#hls = this.#open(choice, 0);
    video.addEventListener('pause', this.#rest);
    video.addEventListener('play', this.#goOn);
    addEventListener('pagehide', this.#remember);
  }

  #remember = () => {
    const { bandwidthEstimate } = this.#hls;
    if (bandwidthEstimate > 0) localStorage.setItem(ESTIMATE_KEY, String(Math.round(bandwidthEstimate)));
  };

  /** Who saves data pays for what is watched, not for what is buffered during a pause. */
  #rest = () => {
    if (isSaving(this.#choice)) this.#hls.pauseBuffering();
  };

  #goOn = () => this.#hls.resumeBuffering();

  choose(choice: Choice): void {
    const changesSource = (choice === 'audio') !== (this.#choice === 'audio');
    this.#choice = choice;
    this.#standing.forget();
    if (changesSource) this.#reopen();
    else this.#apply();
  }

  grown(qualities: Quality[], isGrowing: boolean): void {
    Object.assign(this.film, { qualities, isGrowing });
    this.#offer();
    if (!isGrowing && !isSaving(this.#choice)) this.#hls.config.maxMaxBufferLength = 60;
  }

  retry(): void {
    this.#reopen();
  }

  destroy(): void {
    this.video.removeEventListener('pause', this.#rest);
    this.video.removeEventListener('play', this.#goOn);
    removeEventListener('pagehide', this.#remember);
    this.#close();
  }

  #close(): void {
    this.#remember();
    this.#standing.forget();
    this.#hls.destroy();
  }

  #reopen(): void {
    const { currentTime, paused } = this.video;
    this.#close();
    this.#hls = this.#open(this.#choice, currentTime);
    if (!paused) void this.video.play().catch(() => undefined);
  }

  #open(choice: Choice, position: number): Hls {
    const { lease, sound } = this.film;
    const saving = isSaving(choice);
    const config: Partial<HlsConfig> = {
      // Segments are MP4 already: what is left to do is less than to fetch a worker for it.
      enableWorker: false,
      startPosition: position,
      abrEwmaDefaultEstimate: firstEstimate(),
      // It would load a segment before the first one that is shown.
      testBandwidth: false,
      maxBufferLength: saving ? 12 : 30,
      maxMaxBufferLength: saving ? 20 : 60,
      backBufferLength: saving ? 10 : 30,
      capLevelOnFPSDrop: true,
      fpsController: FrameWatch,
      capLevelToPlayerSize: false,
      ...(saving && { startLevel: 0 }),
      fLoader: segmentLoader(() => this.film.isGrowing, this.film.onPreparing),
      ...PATIENCE,
      xhrSetup: async (xhr, url) => {
        const token = await lease.token();
        xhr.open('GET', url, true);
        // The grant goes to our own origin only, whatever a playlist names.
        if (token && new URL(url, location.href).origin === location.origin) {
          xhr.setRequestHeader('Authorization', `Bearer ${token}`);
        }
      },
    };
    const hls = new Hls(config);
    hls.on(Events.MANIFEST_PARSED, (_event, { audioTracks }) => {
      goesOnInAny(audioTracks);
      asOneFamily(hls.levels);
      this.#offer();
      this.#apply();
    });
    hls.on(Events.LEVEL_SWITCHED, (_event, { level }) => {
      const url = hls.levels[level]?.url[0] ?? '';
      const shown = this.film.qualities.find((quality) => url.includes(`/${quality.name}/`));
      if (shown) this.film.onQuality(shown.name);
    });
    hls.on(Events.FRAG_BUFFERED, () => (this.#recoveries = 0));
    hls.on(Events.ERROR, (_event, data) => void this.#handle(data));
    // hls.js drops sound-only variants from a multivariant with pictures, so sound alone is
    // loaded by its own playlist.
    const isSound = choice === 'audio' && sound;
    hls.loadSource(isSound ? playlist(lease.url, sound) : multivariant(lease.url, this.film.isGrowing));
    hls.attachMedia(this.video);
    return hls;
  }

  /** Only what is there takes part in the automatic choice; the rest joins when it comes. */
  #offer(): void {
    for (const level of this.#hls.levels) {
      const quality = this.film.qualities.find(({ name }) => levelOf(name, level.url) === 0);
      if (quality && !isOffered(quality)) level.supportedResult = BEING_MADE;
      else if (level.supportedResult === BEING_MADE) delete level.supportedResult;
    }
  }

  #apply(): void {
    const hls = this.#hls;
    if (this.#choice === 'audio' || hls.levels.length === 0) return;
    const urls = hls.levels.map((level) => level.url[0] ?? '');
    if (this.#choice === 'saver') {
      const cap = saverQuality(this.film.qualities);
      hls.capLevelToPlayerSize = false;
      hls.autoLevelCapping = cap ? Math.max(0, levelOf(cap.name, urls)) : 0;
      hls.config.maxBufferLength = 12;
      hls.nextLevel = -1;
      return;
    }
    hls.config.maxBufferLength = 30;
    // What is far ahead in a low quality would be watched before the better one that comes.
    hls.config.maxMaxBufferLength = this.film.isGrowing ? 30 : 60;
    hls.autoLevelCapping = -1;
    if (this.#choice === 'auto') {
      hls.capLevelToPlayerSize = true;
      hls.nextLevel = -1;
    } else {
      hls.capLevelToPlayerSize = false;
      hls.nextLevel = levelOf(this.#choice, urls);
    }
  }

  async #handle(data: ErrorData): Promise<void> {
    const status = data.response?.code ?? 0;
    if (!data.fatal) {
      // hls.js tries another level first, which should not be refused as well.
      if (status === 401) void this.film.lease.renew().catch(() => undefined);
      return this.#standing.failed(isNamed(this.#choice) && this.#hls.autoLevelEnabled);
    }
    const code = status ? `${data.details} ${status}` : data.details;
    if (data.type === ErrorTypes.MEDIA_ERROR && this.#mayRecover()) return this.#hls.recoverMediaError();
    if (data.type === ErrorTypes.NETWORK_ERROR && status === 401 && this.#mayRecover()) {
      // The grant ran out while the device slept, or was revoked and may be had anew.
      try {
        await this.film.lease.renew();
        return this.#reopen();
      } catch (error) {
        return this.film.onFailure(failureOf(error), code);
      }
    }
    const fallback = data.type === ErrorTypes.NETWORK_ERROR ? 'network' : 'media';
    this.film.onFailure(failureOfStatus(status) ?? fallback, code);
  }

  /** Two tries within ten seconds without a segment in between are one too many. */
  #mayRecover(): boolean {
    const now = performance.now();
    if (now - this.#lastRecovery > 10_000) this.#recoveries = 0;
    this.#lastRecovery = now;
    return this.#recoveries++ < 2;
  }
}

/** Native HLS, or the plain file, for browsers without media source extensions. */
function plainEngine(video: HTMLVideoElement, film: Film, first: Choice): Engine {
  const { lease, sound, mp4 } = film;
  const isNative = video.canPlayType('application/vnd.apple.mpegurl') !== '';
  const load = (choice: Choice) => {
    const source = choice === 'audio' && sound ? playlist(lease.foreignUrl, sound) : lease.foreignUrl;
    const url = isNative ? source : mp4;
    if (!url) return film.onFailure('unsupported', 'no-source');
    const { currentTime, paused } = video;
    video.src = url;
    video.currentTime = currentTime;
    if (!paused) void video.play().catch(() => undefined);
  };
  const failed = () => {
    if (isNative && mp4 && video.src !== new URL(mp4, location.href).href) {
      video.src = mp4;
      void video.play().catch(() => undefined);
    } else {
      film.onFailure(video.error?.code === 2 ? 'network' : 'media', `media-${video.error?.code ?? 0}`);
    }
  };
  video.addEventListener('error', failed);
  load(first);
  let current = first;
  return {
    choose: (choice) => load((current = choice)),
    grown: () => undefined,
    retry: () => load(current),
    destroy: () => {
      video.removeEventListener('error', failed);
      video.removeAttribute('src');
      video.load();
    },
  };
}
