import { Upload, type DetailedError } from 'tus-js-client';
import { problem, type Problem } from '../api.js';
import { locale } from '../locale.js';
import { m } from '../paraglide/messages.js';
import { Pace } from './pace.js';
import type { Unfinished } from './unfinished.js';

export type Stage = 'waiting' | 'sending' | 'reconnecting' | 'paused' | 'finished' | 'failed';

const ENDPOINT = '/api/v1/uploads';
/** What a cut line costs at most: on a slow link a smaller one, so that the server says more often what it has. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Keeps trying for about ten minutes without a byte getting through. */
const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10_000, 20_000, ...Array<number>(18).fill(30_000)];
/** When to ask what the server has of a paused upload, each after the one before had no answer. */
const ASK_DELAYS_MS = [0, 500, 2000, 5000];
const VIDEO_KEY = 'cocuyo:video-of:';

/** One file on its way to the server; goes on after a cut, a reload or a power failure. */
export class Transfer {
  stage: Stage = $state('waiting');
  /** Bytes handed to the network. */
  sent = $state(0);
  /** Bytes that the server has said it keeps. */
  saved = $state(0);
  /** Seconds left at the present pace; null while unknown. */
  eta: number | null = $state(null);
  error: string | null = $state(null);
  video: string | null = $state(null);

  readonly #upload: Upload;
  readonly #pace = new Pace();

  constructor(
    readonly file: File,
    private readonly onEnd: () => void,
  ) {
    this.#upload = new Upload(file, {
      endpoint: ENDPOINT,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_DELAYS_MS,
      removeFingerprintOnSuccess: true,
      headers: { 'Accept-Language': locale },
      metadata: { filename: file.name, title: titleOf(file.name), filetype: file.type },
      onAfterResponse: (_request, response) => {
        const id = response.getHeader('Cocuyo-Video-Id');
        if (id) this.video = id;
        const offset = Number(response.getHeader('Upload-Offset') ?? NaN);
        if (offset >= 0) this.saved = offset;
      },
      onUploadUrlAvailable: () => this.#rememberVideo(),
      onProgress: (sent) => this.#progressed(sent),
      onShouldRetry: (error) => {
        const retry = isWorthRetrying((error as DetailedError).originalResponse?.getStatus() ?? 0);
        if (retry && this.stage === 'sending') {
          this.stage = 'reconnecting';
          this.eta = null;
        }
        return retry;
      },
      onError: (error) => this.#failed(error as DetailedError),
      onSuccess: () => this.#finished(),
    });
  }

  get isOpen(): boolean {
    return this.stage === 'sending' || this.stage === 'reconnecting';
  }

  /** Begins, or goes on where the server says it stopped. */
  async start(): Promise<void> {
    if (this.file.size === 0) {
      this.stage = 'failed';
      this.error = m.upload_error_empty();
      return this.onEnd();
    }
    this.stage = 'sending';
    this.error = null;
    this.#pace.restart();
    if (!this.#upload.url) {
      const previous = await this.#upload.findPreviousUploads().catch(() => []);
      const latest = previous.sort(byAge)[0];
      if (latest) {
        this.#upload.resumeFromPreviousUpload(latest);
        this.video ??= localStorage.getItem(VIDEO_KEY + latest.uploadUrl);
      }
    }
    this.#upload.start();
  }

  async pause(): Promise<void> {
    this.stage = 'paused';
    this.eta = null;
    await this.#upload.abort();
    await this.#askWhatIsSaved();
  }

  /** Stops for good and takes back what the server has of it. */
  async discard(): Promise<void> {
    const wasOpen = this.isOpen;
    await this.#upload.abort(this.stage !== 'finished').catch(() => undefined);
    if (wasOpen) this.onEnd();
  }

  /**
   * Bytes were under way when the line was let go; only the server knows how many it kept. It answers
   * the newest who asks, which may be another tab.
   */
  async #askWhatIsSaved(): Promise<void> {
    for (const delay of ASK_DELAYS_MS) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (this.stage !== 'paused' || !this.#upload.url) return;
      const headers = { 'Tus-Resumable': '1.0.0' };
      const response = await fetch(this.#upload.url, { method: 'HEAD', headers }).catch(() => null);
      const offset = Number(response?.headers.get('Upload-Offset') ?? NaN);
      if (!(offset >= 0)) continue;
      this.saved = offset;
      if (this.stage === 'paused') this.sent = offset;
      return;
    }
  }

  #progressed(sent: number): void {
    if (this.stage === 'reconnecting') {
      this.stage = 'sending';
      this.#pace.restart();
    }
    if (this.stage !== 'sending') return;
    this.sent = sent;
    this.#pace.reached(sent, performance.now());
    this.eta = this.#pace.secondsTo(this.file.size);
  }

  #rememberVideo(): void {
    if (this.#upload.url && this.video) localStorage.setItem(VIDEO_KEY + this.#upload.url, this.video);
  }

  #failed(error: DetailedError): void {
    this.stage = 'failed';
    this.eta = null;
    const response = error.originalResponse;
    this.error = response
      ? sentenceOf(problem(response.getStatus(), response.getBody()))
      : m.upload_error_network();
    this.onEnd();
  }

  #finished(): void {
    this.stage = 'finished';
    this.sent = this.saved = this.file.size;
    this.eta = null;
    if (this.#upload.url) localStorage.removeItem(VIDEO_KEY + this.#upload.url);
    this.onEnd();
  }
}

function byAge(a: Unfinished, b: Unfinished): number {
  return Date.parse(b.creationTime) - Date.parse(a.creationTime);
}

/** Whether the same request may succeed later without anybody doing anything. */
function isWorthRetrying(status: number): boolean {
  return status === 0 || status === 408 || status === 409 || status === 423 || status === 460
    || (status >= 500 && status !== 507);
}

/** `Mi primer video.MP4` gives `Mi primer video`. */
function titleOf(filename: string): string {
  return filename.replace(/\.[A-Za-z0-9]{1,5}$/, '').replace(/_/g, ' ').trim() || filename;
}

function sentenceOf(problem: Problem): string {
  switch (problem.status) {
    case 401:
      return m.upload_error_signed_out();
    case 403:
      return m.upload_error_forbidden();
    case 413:
      return m.upload_error_too_large();
    case 429:
      return m.upload_error_too_many();
    case 507:
      return m.upload_error_no_space();
    default:
      return problem.message || m.upload_error_other();
  }
}
