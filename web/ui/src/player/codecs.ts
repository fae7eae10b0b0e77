/**
 * Lets the player go from one family of codecs to another. hls.js keeps to the one that it begins with, and would never
 * go from the H.264 that we make up to what a publisher sent in HEVC or AV1. What the browser cannot play is out already.
 */
export function asOneFamily(levels: { codecSet: string }[]): void {
  const [first] = levels;
  for (const level of levels) level.codecSet = first!.codecSet;
}
