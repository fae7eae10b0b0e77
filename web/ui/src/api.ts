import { locale } from './locale.js';
import { m } from './paraglide/messages.js';

/* The shapes of `/api/openapi.json` that these pages use. */

export type Visibility = 'draft' | 'private' | 'unlisted' | 'public';
export type State = 'uploading' | 'queued' | 'packaging' | 'ready' | 'failed' | 'event' | 'ended';
/** The state in more detail: what its owner waits for. */
export type Stage =
  | 'uploading'
  | 'queued'
  | 'probing'
  | 'playable'
  | 'improving'
  | 'ready'
  | 'failed'
  | 'scheduled'
  | 'live'
  | 'ended';
export type FailureCode =
  | 'empty'
  | 'not_media'
  | 'unsupported_codec'
  | 'truncated'
  | 'nothing_to_play'
  | 'too_large'
  | 'crashed'
  | 'timed_out'
  | 'cancelled'
  | 'internal';

export interface Video {
  id: string;
  title: string;
  description: string;
  visibility: Visibility;
  min_tier: number;
  state: State;
  stage: Stage;
  /** Whether it can be watched, if only in part of its qualities. */
  plays: boolean;
  /** How many are served before it, and itself; null when it does not wait. */
  queue_place: number | null;
  /** How much it comes before others: 0 unless somebody has set it. */
  priority: number;
  /** Seconds of film that are made in a second. */
  speed: number | null;
  /** Percent, 0 to 100. */
  progress: number;
  eta_s: number | null;
  failure: { code: FailureCode; text: string } | null;
  duration_ms: number | null;
  chapters: Chapter[];
  thumbnail_url: string | null;
  renditions: Rendition[];
  /** The re-encode that is under way: the video stays as it is meanwhile. */
  reencode: { renditions: string[]; preset: string; progress: number } | null;
}

/** A place in a video that has a name. */
export interface Chapter {
  start_ms: number;
  title: string;
}

/** A broadcast. */
export interface Event {
  id: string;
  state: 'scheduled' | 'live' | 'ended';
  /** Whether pictures come in just now. */
  on_air: boolean;
  /** Milliseconds since 1970. */
  starts_at: number | null;
  began_at: number | null;
  record: boolean;
  viewers: number;
  video: Video;
}

/** How an event is, for who publishes it. */
export interface EventHealth {
  state: Event['state'];
  on_air: boolean;
  publishing: boolean;
  viewers: number;
  feed: FeedHealth | null;
  /** Why the last publisher was let go, until the next one is on air. */
  let_go: { code: string; text: string } | null;
}

export interface FeedHealth {
  /** When this was found out. */
  at: number;
  encoder: string;
  bitrate_kbps: number;
  picture: { codec: string; width: number; height: number; fps: number; gop_s: number } | null;
  skew_ms: number;
  queue_ms: number;
  dropped: number;
  renditions: string[];
  warnings: { code: string; text: string }[];
}

export interface Rendition {
  name: string;
  /** Whether all of it is there. */
  whole: boolean;
  mb_per_minute: number;
}

export interface Listing<T> {
  items: T[];
  next: string | null;
}

export interface VideoEdit {
  title?: string;
  description?: string;
  visibility?: Visibility;
  min_tier?: number;
  /** One on each line. */
  chapters_text?: string;
}

export interface Playback {
  /** Multivariant playlist; wants the token as a bearer when there is one. */
  url: string;
  token: string | null;
  /** The same for players that can't send headers. */
  foreign_url: string;
  /** Milliseconds since 1970; null when nothing expires. */
  expires_at: number | null;
}

/** An answer that is not a success: `application/problem+json`, or no answer at all (status 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** Calls the API as the signed-in reader; the session travels in its cookie. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': locale };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, 'network', m.error_network());
  }
  if (!response.ok) throw problem(response.status, await response.text().catch(() => ''));
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Reads a refusal; what is not problem+json keeps its status and gets plain words. */
export function problem(status: number, body: string): Problem {
  if (status === 401) return new Problem(status, 'unauthenticated', m.error_signed_out());
  try {
    const { code, detail, title } = JSON.parse(body) as { code?: string; detail?: string; title?: string };
    return new Problem(status, code ?? `http_${status}`, detail || title || m.error_title());
  } catch {
    return new Problem(status, `http_${status}`, m.error_title());
  }
}

export const videos = {
  mine: (cursor: string | null) =>
    call<Listing<Video>>('GET', `/api/v1/videos?mine=true${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`),
  get: (id: string) => call<Video>('GET', `/api/v1/videos/${id}`),
  edit: (id: string, edit: VideoEdit) => call<Video>('PATCH', `/api/v1/videos/${id}`, edit),
  remove: (id: string) => call<void>('DELETE', `/api/v1/videos/${id}`),
  prefer: (id: string, priority: number) => call<Video>('PATCH', `/api/v1/videos/${id}`, { priority }),
  cancel: (id: string) => call<Video>('POST', `/api/v1/videos/${id}/cancel`),
  retry: (id: string) => call<Video>('POST', `/api/v1/videos/${id}/retry`),
  /** With the version that is watched already, if one is: a grant for that, while it is kept. */
  playback: (id: string, version: string) =>
    call<Playback>('POST', `/api/v1/videos/${id}/playback?version=${encodeURIComponent(version)}`),
  firstPlayback: (id: string) => call<Playback>('POST', `/api/v1/videos/${id}/playback`),
};

export const events = {
  get: (id: string) => call<Event>('GET', `/api/v1/events/${id}`),
  health: (id: string) => call<EventHealth>('GET', `/api/v1/events/${id}/health`),
  /** Says that this player watches. */
  beat: (id: string, player: string) =>
    call<{ viewers: number; live: boolean }>('POST', `/api/v1/events/${id}/beat`, { player }),
};
