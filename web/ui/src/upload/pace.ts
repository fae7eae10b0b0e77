/** How fast bytes go out, over the last quarter of a minute. */
export class Pace {
  static readonly WINDOW_MS = 15_000;
  /** A guess from less than this is not worth showing. */
  static readonly LEAST_MS = 3_000;

  #marks: { bytes: number; at: number }[] = [];

  restart(): void {
    this.#marks = [];
  }

  reached(bytes: number, at: number): void {
    const last = this.#marks[this.#marks.length - 1];
    // A resumed chunk starts lower than the bytes that were in flight before.
    if (last && bytes < last.bytes) this.#marks = [];
    this.#marks.push({ bytes, at });
    while (this.#marks.length > 2 && at - this.#marks[0]!.at > Pace.WINDOW_MS) this.#marks.shift();
  }

  /** Seconds until `total` bytes are out; null while there is nothing to go by. */
  secondsTo(total: number): number | null {
    const first = this.#marks[0];
    const last = this.#marks[this.#marks.length - 1];
    if (!first || !last || last.at - first.at < Pace.LEAST_MS || last.bytes <= first.bytes) return null;
    const perSecond = ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
    return Math.max(0, (total - last.bytes) / perSecond);
  }
}
