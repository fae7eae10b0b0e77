import type { Chapter } from '../api.js';
import { clock } from '../format.js';

/** Which of `chapters`, which are in order, the film is in; -1 before the first. */
export function currentOf(chapters: Chapter[], atMs: number): number {
  return chapters.filter(({ start_ms: start }) => start <= atMs).length - 1;
}

/** Behind the end of every film: older browsers take no cue without an end. */
const LATE_MS = 1e9;

/** Marks the chapters on the seek bar, which shows those of the film's text tracks. */
export function mark(video: HTMLVideoElement, chapters: Chapter[]): void {
  if (chapters.length === 0) return;
  const track = video.addTextTrack('chapters');
  // Disabled tracks have no cues.
  track.mode = 'hidden';
  chapters.forEach(({ start_ms: start, title }, n) => {
    const end = chapters[n + 1]?.start_ms ?? LATE_MS;
    track.addCue(new VTTCue(start / 1000, end / 1000, title));
  });
}

/** The chapters as a form has them, one on each line. */
export function lines(chapters: Chapter[]): string {
  const thousandths = (ms: number) => (ms % 1000 ? `.${String(ms % 1000).padStart(3, '0')}` : '');
  return chapters.map(({ start_ms: start, title }) => `${clock(start)}${thousandths(start)} ${title}\n`).join('');
}
