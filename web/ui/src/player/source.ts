import type { Quality, Sound } from './quality.js';

/** The playlist to begin with: of a film in the making the one that names all that is planned. */
export function multivariant(url: string, isGrowing: boolean): string {
  return isGrowing ? `${url}?planned=1` : url;
}

/** The playlist of one rendition. */
export function playlist(multivariant: string, rendition: Quality | Sound): string {
  return multivariant.replace(/multivariant\.m3u8$/, `${rendition.name}/playlist.m3u8`);
}

/**
 * Fetches the playlists that play begins with while the player's code is still on its way, so that
 * it finds them in the browser's cache. Segments are left to the player, which measures by them.
 */
export function warm(urls: string[], token: string | null): void {
  const headers: HeadersInit = token ? { Authorization: `Bearer ${token}` } : {};
  for (const url of urls) void fetch(url, { headers }).catch(() => undefined);
}
