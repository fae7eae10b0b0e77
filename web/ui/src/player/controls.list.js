/** The controls that the player shows and the parts that they bring along; one list for the bundle and for the hashes of their styles. */
export const CONTROLS = [
  'media-controller',
  'media-control-bar',
  'media-play-button',
  'media-mute-button',
  'media-volume-range',
  'media-time-range',
  'media-time-display',
  'media-playback-rate-button',
  'media-pip-button',
  'media-fullscreen-button',
  'media-loading-indicator',
  'media-gesture-receiver',
  'media-tooltip',
  'media-preview-thumbnail',
  'media-preview-time-display',
  'media-preview-chapter-display',
];
