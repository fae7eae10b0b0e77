// A viewer who waits: signs in, opens a video's watch page before the video plays, starts it when it can, and tells
// when its first picture was on screen; then seeks and counts stalls when asked.
//
//   node watch.js --base URL --login NAME:PASSWORD
//
// Takes one command a line on standard input and tells one event a line on standard output, both as JSON:
//
//   {"watch": ID}      open, plays, click, asked, answered, frame
//   {"seek": 0.8}      sought: milliseconds until a picture of there was on screen
//   {"tally": true}    tally: stalls so far, milliseconds of them, position, segments fetched twice
//   {"close": true}    closed
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { launch, signedIn } from '../../tests/browser/chromium.js';

const { values: args } = parseArgs({ options: { base: { type: 'string' }, login: { type: 'string' } } });
const { base, login } = args;
/** How long the page may take to notice by itself; a page that never does is loaded again. */
const GRACE_MS = 1500;

const tell = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const browser = await launch();
const storageState = await signedIn(browser, base, login);
/** Whether pages notice by themselves that their video plays; known after the first. */
let notices = true;
let viewer = null;
tell('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    if (command.watch) await watch(command.watch);
    else if (command.seek) await seek(command.seek);
    else if (command.tally) await tally();
    else if (command.close) await close();
  } catch (error) {
    tell('failed', { why: String(error) });
  }
}
await browser.close();

/** A new viewer each time: what an earlier one has cached or learnt of the line is gone. */
async function watch(video) {
  const context = await browser.newContext({ storageState, locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  viewer = { context, page, fetched: new Map() };
  await page.exposeFunction('cocuyoFrame', (time) => tell('frame', { time }));
  await page.addInitScript(look);
  const ofVideo = (url) => /\/(playback|v\/)/.test(url) && !url.endsWith('.jpg');
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname;
    if (!ofVideo(path)) return;
    tell('asked', { path });
  });
  page.on('requestfinished', async (request) => {
    const path = new URL(request.url()).pathname;
    if (!ofVideo(path)) return;
    // The page may be closed meanwhile.
    const answer = await request.response().catch(() => null);
    // What is asked for again because it is not there yet was not fetched.
    if (path.endsWith('.m4s') && answer?.ok()) viewer?.fetched.set(path, (viewer.fetched.get(path) ?? 0) + 1);
    tell('answered', { path, status: answer?.status() });
  });
  await page.goto(`${base}/watch/${video}`);
  tell('open');
  // Not awaited: commands go on being taken meanwhile.
  void wait(context, page, video).catch((error) => tell('failed', { why: String(error) }));
}

async function wait(context, page, video) {
  const button = page.locator('.player-start');
  for (;;) {
    const answer = await context.request.get(`${base}/api/v1/videos/${video}`);
    const seen = answer.ok() ? await answer.json() : {};
    if (seen.state === 'failed') throw new Error(`packaging failed: ${JSON.stringify(seen)}`);
    if (seen.plays || seen.state === 'ready') break;
    if (await button.isVisible()) break;
    await pause(50);
  }
  tell('plays');
  const end = Date.now() + (notices ? GRACE_MS : 0);
  while (!(await button.isVisible()) && Date.now() < end) await pause(25);
  notices = await button.isVisible();
  if (!notices) await page.reload({ waitUntil: 'commit' });
  await button.click();
  tell('click', { noticed: notices });
}

/** Runs in the page, before anything of it. */
function look() {
  const seen = { stalls: 0, stalledMs: 0, since: null, begun: false, seeking: false, sought: null };
  window.cocuyoSeen = seen;
  const adopted = new WeakSet();
  const adopt = (video) => {
    if (adopted.has(video)) return;
    adopted.add(video);
    video.requestVideoFrameCallback((_now, { mediaTime }) => {
      seen.begun = true;
      window.cocuyoFrame(mediaTime);
    });
    const end = () => {
      if (seen.since !== null) seen.stalledMs += performance.now() - seen.since;
      seen.since = null;
    };
    video.addEventListener('waiting', () => {
      if (!seen.begun || seen.seeking || video.paused) return;
      seen.stalls += 1;
      seen.since = performance.now();
    });
    video.addEventListener('playing', end);
    video.addEventListener('seeking', () => {
      end();
      seen.seeking = true;
    });
  };
  const search = () => document.querySelectorAll('video').forEach(adopt);
  new MutationObserver(search).observe(document, { childList: true, subtree: true });
}

async function seek(part) {
  const took = await viewer.page.evaluate(async (part) => {
    const video = document.querySelector('media-controller video');
    const target = video.duration * part;
    const begin = performance.now();
    video.currentTime = target;
    for (;;) {
      const time = await new Promise((resolve) =>
        video.requestVideoFrameCallback((_now, { mediaTime }) => resolve(mediaTime)));
      if (Math.abs(time - target) < 8) break;
    }
    const took = performance.now() - begin;
    window.cocuyoSeen.seeking = false;
    return { ms: took, to: target };
  }, part);
  tell('sought', took);
}

async function tally() {
  const seen = await viewer.page.evaluate(() => {
    const video = document.querySelector('media-controller video');
    const { stalls, stalledMs, since } = window.cocuyoSeen;
    const failure = document.querySelector('.player-failure')?.textContent ?? null;
    const now = since === null ? 0 : performance.now() - since;
    return { stalls, stalled_ms: stalledMs + now, time: video.currentTime, height: video.videoHeight, failure };
  });
  const twice = [...viewer.fetched.values()].filter((times) => times > 1).length;
  // The same moment in two renditions is fetched twice too.
  const moments = new Map();
  for (const path of viewer.fetched.keys()) {
    const [, rendition, number] = /\/([^/]+)\/(\d+)\.m4s$/.exec(path) ?? [];
    const key = `${rendition?.startsWith('a') ? 'sound' : 'picture'} ${number}`;
    moments.set(key, (moments.get(key) ?? 0) + 1);
  }
  const again = [...moments.values()].filter((times) => times > 1).length;
  tell('tally', { ...seen, fetched_twice: twice + again, segments: moments.size });
}

async function close() {
  await viewer?.context.close();
  viewer = null;
  tell('closed');
}
