const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** A random id in the one form of ids: it says that two beats come from one player, and nothing else. */
export function playerId(bytes: Uint8Array): string {
  // The first of 26 characters holds three bits only.
  return Array.from({ length: 26 }, (_, i) => ALPHABET[(bytes[i] ?? 0) & (i === 0 ? 7 : 31)]).join('');
}
