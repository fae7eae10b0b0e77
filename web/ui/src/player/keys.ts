/** What a key does while the player has the focus. */
export type Action =
  | { do: 'toggle' | 'mute' | 'fullscreen' }
  | { do: 'skip'; seconds: number }
  | { do: 'volume'; by: number }
  | { do: 'jump'; fraction: number }
  | { do: 'rate'; by: number };

/** The action of a key press; none while typing, choosing or with a modifier held. */
export function actionOf(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey' | 'target'>): Action | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const tag = (event.target as Element | null)?.tagName?.toLowerCase() ?? '';
  if (tag === 'select' || tag === 'input' || tag === 'textarea') return null;
  // A focused button keeps its own space and enter, a focused slider its own arrows.
  const isButton = tag === 'button' || tag.endsWith('-button');
  const isSlider = tag.endsWith('-range');
  switch (event.key) {
    case ' ':
      return isButton ? null : { do: 'toggle' };
    case 'k':
    case 'K':
      return { do: 'toggle' };
    case 'm':
    case 'M':
      return { do: 'mute' };
    case 'f':
    case 'F':
      return { do: 'fullscreen' };
    case 'j':
    case 'J':
      return { do: 'skip', seconds: -10 };
    case 'l':
    case 'L':
      return { do: 'skip', seconds: 10 };
    case 'ArrowLeft':
      return isSlider ? null : { do: 'skip', seconds: -5 };
    case 'ArrowRight':
      return isSlider ? null : { do: 'skip', seconds: 5 };
    case 'ArrowUp':
      return isSlider ? null : { do: 'volume', by: 0.1 };
    case 'ArrowDown':
      return isSlider ? null : { do: 'volume', by: -0.1 };
    case '<':
      return { do: 'rate', by: -0.25 };
    case '>':
      return { do: 'rate', by: 0.25 };
    default:
      return /^[0-9]$/.test(event.key) ? { do: 'jump', fraction: Number(event.key) / 10 } : null;
  }
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** Carries an action out on the video; `toggleFullscreen` is the surroundings' affair. */
export function perform(action: Action, video: HTMLVideoElement, toggleFullscreen: () => void): void {
  switch (action.do) {
    case 'toggle':
      if (video.paused) void video.play().catch(() => undefined);
      else video.pause();
      break;
    case 'mute':
      video.muted = !video.muted;
      break;
    case 'fullscreen':
      toggleFullscreen();
      break;
    case 'skip':
      video.currentTime = clamp(video.currentTime + action.seconds, 0, video.duration || 0);
      break;
    case 'volume':
      video.volume = clamp(video.volume + action.by, 0, 1);
      break;
    case 'jump':
      video.currentTime = (video.duration || 0) * action.fraction;
      break;
    case 'rate':
      video.playbackRate = clamp(video.playbackRate + action.by, 0.25, 2);
      break;
  }
}

/** What a key press does to a player whose controls are in `controller`. */
export function press(event: KeyboardEvent, video: HTMLVideoElement, controller: HTMLElement | undefined): void {
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  perform(action, video, () => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void controller?.requestFullscreen?.();
  });
}
