import Hls, { type HlsConfig } from 'hls.js';

/** Two seconds of film: what happens to fewer frames, behind a pause or a wait, says nothing. */
const FRAMES = 50;

type Base = NonNullable<HlsConfig['fpsController']>;
type StreamController = Parameters<InstanceType<Base>['setStreamController']>[0];

/**
 * Goes to a smaller picture when the device drops frames. The smaller one comes with the next
 * segment; hls.js would throw away, and load again, all that is loaded ahead.
 */
export class FrameWatch extends (Hls.DefaultConfig.fpsController as Base) {
  #judged = 0;

  override setStreamController(): void {
    super.setStreamController({ nextLevelSwitch: () => undefined } as unknown as StreamController);
  }

  override checkFPS(video: HTMLVideoElement, decoded: number, dropped: number): void {
    if (decoded >= this.#judged && decoded - this.#judged < FRAMES) return;
    this.#judged = decoded;
    super.checkFPS(video, decoded, dropped);
  }
}
