// What runs in the page of `live.js`: the site's own live player, and eyes for what it shows. It is bundled with
// the site's sources, so that what is measured is what viewers have.
import Hls from 'hls.js';
import { start } from '../../web/ui/src/live/engine.ts';
import { Lease } from '../../web/ui/src/player/lease.ts';

/** Bits of the clock in the picture, and the blocks of a picture of 640 by 360 that are one bit. */
const BITS = 40;
const BLOCK = 16;

const seen = { engines: 0, fatal: [], errors: 0, last: [], stalls: 0, stalledMs: 0, since: null, failure: null, first: null };

/** The player keeps its hls.js to itself. */
const { loadSource } = Hls.prototype;
let hls = null;
Hls.prototype.loadSource = function (url) {
  hls = this;
  seen.engines += 1;
  this.on(Hls.Events.ERROR, (_event, data) => {
    seen.errors += 1;
    const why = data.reason ?? data.error?.message ?? data.response?.code ?? '';
    seen.last = [...seen.last.slice(-19), `${video.currentTime.toFixed(3)} ${data.details} ${why}`];
    if (data.fatal) seen.fatal.push(`${data.details} ${data.response?.code ?? ''} ${data.error?.message ?? ''}`);
  });
  return loadSource.call(this, url);
};

const video = document.querySelector('video');
const canvas = document.querySelector('canvas').getContext('2d', { willReadFrequently: true });

/** Milliseconds since the picture on screen was drawn by its encoder; null if there is no clock in it. */
function age() {
  canvas.drawImage(video, 0, 0, 640, 360);
  const bits = canvas.getImageData(0, BLOCK, 640, 1).data;
  const inverse = canvas.getImageData(0, 3 * BLOCK, 640, 1).data;
  let ms = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    const at = (bit * BLOCK + BLOCK / 2) * 4;
    const isSet = bits[at] > 128;
    if (isSet === inverse[at] > 128) return null;
    if (isSet) ms += 2 ** bit;
  }
  return (Date.now() % 2 ** BITS) - ms;
}

video.addEventListener('waiting', () => {
  if (seen.first === null || video.paused) return;
  seen.stalls += 1;
  seen.since = performance.now();
});
video.addEventListener('playing', () => {
  if (seen.since !== null) seen.stalledMs += performance.now() - seen.since;
  seen.since = null;
});

const frame = () => new Promise((resolve) => video.requestVideoFrameCallback(resolve));

/** Joins the event; milliseconds from asking for a grant to the first picture. */
async function join(id, level) {
  const begin = performance.now();
  const answer = await fetch(`/api/v1/videos/${id}/playback`, { method: 'POST' });
  if (!answer.ok) throw new Error(`no playback: ${answer.status} ${await answer.text()}`);
  const playback = await answer.json();
  const engine = start(
    video,
    {
      lease: new Lease(id, playback),
      onFailure: (failure, code) => (seen.failure = `${failure}: ${code}`),
      onReconnecting: () => undefined,
      onHeights: (heights) => level === 'source' && engine.setHeight(Math.max(...heights)),
      onEnd: () => undefined,
    },
    'low',
  );
  // As the page does when somebody presses play.
  void video.play().catch(() => undefined);
  await frame();
  seen.first = performance.now() - begin;
  return seen.first;
}

/** Ages of the pictures of `seconds`, in milliseconds. */
async function ages(seconds) {
  const end = performance.now() + seconds * 1000;
  const found = [];
  let without = 0;
  while (performance.now() < end) {
    const next = await Promise.race([frame(), new Promise((resolve) => setTimeout(() => resolve(null), 5000))]);
    const ms = next === null ? null : age();
    if (ms === null) without += 1;
    else found.push(Math.round(ms));
  }
  return { ages: found, without };
}

function look() {
  const { since, ...rest } = seen;
  return {
    ...rest,
    stalledMs: seen.stalledMs + (since === null ? 0 : performance.now() - since),
    age: seen.first === null ? null : age(),
    time: video.currentTime,
    buffered: Array.from({ length: video.buffered.length }, (_, n) => [video.buffered.start(n), video.buffered.end(n)]),
    height: video.videoHeight,
    estimate: hls?.bandwidthEstimate ?? null,
    latency: hls?.latency ?? null,
    target: hls?.targetLatency ?? null,
    levels: hls?.levels.length ?? 0,
  };
}

window.bench = { join, ages, look };
