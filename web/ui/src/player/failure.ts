import { Problem } from '../api.js';

/** Why it does not play, for words on the page. */
export type Failure = 'network' | 'media' | 'signed_out' | 'tier' | 'gone' | 'unsupported';

/** What an answer's status means to the viewer; `undefined` where the status says nothing. */
export function failureOfStatus(status: number): Failure | undefined {
  const failures: Record<number, Failure> = { 401: 'signed_out', 403: 'tier', 404: 'gone' };
  return failures[status];
}

/** What a failed request for a grant means to the viewer. */
export function failureOf(error: unknown): Failure {
  return (error instanceof Problem && failureOfStatus(error.status)) || 'network';
}
