import type { Quality, Sound } from './quality.js';

/** The playlist to begin with: of a film in the making the one that names all that is planned. */
export function multivariant(url: string, isGrowing: boolean): string {
  return isGrowing ? `${url}?planned=1` : url;
}

/** The playlist of one rendition. */
export function playlist(multivariant: string, rendition: Quality | Sound): string {
  return beside(multivariant, `${rendition.name}/playlist.m3u8`);
}

/**
 * Fetches what play begins with while the player's code is still on its way, so that it finds it in
 * the browser's cache. Segments are left to the player, which measures the line by them.
 */
export function warm(multivariant: string, rendition: Quality, token: string | null): void {
  const headers: HeadersInit = token ? { Authorization: `Bearer ${token}` } : {};
  for (const name of ['playlist.m3u8', 'init.mp4']) {
    void fetch(beside(multivariant, `${rendition.name}/${name}`), { headers }).catch(() => undefined);
  }
}

function beside(multivariant: string, path: string): string {
  return multivariant.replace(/multivariant\.m3u8$/, path);
}
