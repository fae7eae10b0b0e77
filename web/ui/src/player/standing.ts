/** From a failure of what was chosen to when it is chosen again: soon at first, then ever later. */
const FIRST_MS = 5000;
const LONGEST_MS = 60_000;

/**
 * A choice that stands. hls.js lets go of a chosen level when a piece of it fails, once or for good, and decides by
 * itself from then on; the viewer's choice still says otherwise.
 */
export class StandingChoice {
  #again: ReturnType<typeof setTimeout> | undefined;
  #afterMs = FIRST_MS;

  /** `choose` makes the choice, again and again. */
  constructor(private readonly choose: () => void) {}

  /** Something failed, and `isLost` says whether the choice did with it. */
  failed(isLost: boolean): void {
    if (!isLost || this.#again !== undefined) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      this.choose();
    }, this.#afterMs);
    this.#afterMs = Math.min(2 * this.#afterMs, LONGEST_MS);
  }

  /** Another choice stands, or none. */
  forget(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#afterMs = FIRST_MS;
  }
}
