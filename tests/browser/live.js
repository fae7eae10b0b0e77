// A viewer of an event on its page: the site's own player, through whatever happens to the event, then its film and its file.
//
//   node live.js --base URL --viewer NAME:PASSWORD --video ID
//
// Takes a command a line and answers each with a line, both JSON:
//
//   {"play": true}    opens the page and plays; how it is once there is a picture
//   {"look": true}    how it is
//   {"refuse": true}  nothing is served to the page until it asks for another grant; how often it was refused
//   {"stop": ["…"]}   these loaders of hls.js's load no more; how it is then
//   {"sign": true}    only signs in, where the event is over already
//   {"film": true}    opens the page anew, which has the film then, and plays from its beginning
//   {"file": true}    the same without scripts: the page's plain MP4
//                     both up to "until_s", 3 s without
//   {"close": true}   what the browser complained about
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { launch, signIn, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: { base: { type: 'string' }, viewer: { type: 'string' }, video: { type: 'string' } },
});
const { base, viewer, video } = args;
const PAGE = `${base}/watch/${video}`;

const browser = await launch();
const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
const seen = witness(context, base);
// A player that gives up on its stream opens another source: so does hls.js when it is told to recover.
await context.addInitScript(() => {
  globalThis.sources = 0;
  const Original = globalThis.MediaSource;
  globalThis.MediaSource = class extends Original {
    constructor() {
      super();
      globalThis.sources += 1;
    }
  };
});
const page = await context.newPage();

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    if (command.play) answer = await play();
    else if (command.look) answer = await look(page);
    else if (command.refuse) answer = await refuse();
    else if (command.stop) answer = await stop(command.stop);
    else if (command.sign) answer = await sign();
    else if (command.film) answer = await film(command.until_s ?? 3);
    else if (command.file) answer = await file(command.until_s ?? 3);
    else answer = { complaints: seen.complaints, strangers: [...seen.strangers] };
  } catch (error) {
    answer = { failed: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();

async function play() {
  await signIn(page, base, viewer);
  await page.goto(PAGE);
  await page.locator('.player-start').click();
  await page.waitForSelector('media-controller video');
  // What no reload would leave behind: something on the page, something in its memory, the very element.
  await page.evaluate(() => {
    const decoy = document.createElement('i');
    decoy.id = 'decoy';
    document.body.append(decoy);
    globalThis.decoy = document.querySelector('media-controller video');
  });
  return until('a picture', async () => {
    const now = await look(page);
    return now.time > 0 && now.frames > 0 ? now : null;
  });
}

/**
 * Stops loaders of the page's hls.js, as if they had lost their way: `streamController` loads pictures,
 * `audioStreamController` sound. The page gives nobody its player, so the browser's heap is asked for it.
 */
async function stop(loaders) {
  const heap = await context.newCDPSession(page);
  const { result: prototype } = await heap.send('Runtime.evaluate', {
    expression: `(${prototypeOfHls})()`,
    awaitPromise: true,
  });
  const { objects } = await heap.send('Runtime.queryObjects', { prototypeObjectId: prototype.objectId });
  const { result: stopped } = await heap.send('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration: `${function (loaders) {
      const players = this.filter(({ media }) => media);
      for (const player of players) for (const loader of loaders) player[loader].stopLoad();
      return players.length;
    }}`,
    arguments: [{ value: loaders }],
  });
  await heap.detach();
  if (stopped.value !== 1) throw new Error(`stopped ${JSON.stringify(stopped)}`);
  return look(page);
}

/** Runs on the page: hls.js as one of its scripts exports it. */
async function prototypeOfHls() {
  for (const { name } of performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'))) {
    const found = Object.values(await import(name)).find((one) => one?.DefaultConfig && one.isSupported);
    if (found) return found.prototype;
  }
  return null;
}

/** Refuses all of the broadcast, as an edge does when a grant is over, until the page asks for another one. */
async function refuse() {
  let refused = 0;
  const ofBroadcast = (url) => url.pathname.startsWith('/live/');
  const asked = page.waitForRequest((request) => request.method() === 'POST' && new URL(request.url()).pathname.endsWith('/playback'));
  await page.route(ofBroadcast, (route) => {
    refused += 1;
    return route.fulfill({ status: 401 });
  });
  await asked;
  await page.unroute(ofBroadcast);
  return { refused, ...(await look(page)) };
}

async function sign() {
  await signIn(page, base, viewer);
  return {};
}

async function film(until_s) {
  await page.goto(PAGE);
  await page.locator('.player-start').click();
  await page.waitForSelector('media-controller video');
  return until('the film to play', async () => {
    const now = await look(page);
    return now.failure || (now.time > until_s && now.sound > 0) ? now : null;
  });
}

async function file(until_s) {
  const cookies = await context.cookies();
  const plain = await browser.newContext({ javaScriptEnabled: false });
  await plain.addCookies(cookies);
  const page = await plain.newPage();
  await page.goto(PAGE);
  const source = await page.locator('video source').getAttribute('src');
  await page.locator('video').focus();
  await page.keyboard.press('Space');
  const played = await until('the file to play', async () => {
    const now = await look(page);
    return now.failure || (now.time > until_s && now.sound > 0) ? now : null;
  });
  await plain.close();
  return { ...played, source: source.replace(/\/t\/[^/]+/, '/t/…') };
}

/** How the video of a page is, and of which colour its upper left corner. */
function look(page) {
  return page.evaluate(() => {
    const element = document.querySelector('video');
    const corner = new OffscreenCanvas(1, 1).getContext('2d');
    let colour = 'none';
    if (element.videoWidth > 0) {
      const [x, y] = [element.videoWidth / 8, element.videoHeight / 4];
      corner.drawImage(element, x, y, 1, 1, 0, 0, 1, 1);
      const [red, green, blue] = corner.getImageData(0, 0, 1, 1).data;
      const names = { red: red - Math.max(green, blue), green: green - Math.max(red, blue), blue: blue - Math.max(red, green) };
      colour = Object.keys(names).find((name) => names[name] > 60) ?? `${red},${green},${blue}`;
    }
    return {
      time: element.currentTime,
      duration: Number.isFinite(element.duration) ? element.duration : null,
      buffered: Array.from({ length: element.buffered.length }, (_, n) => [element.buffered.start(n), element.buffered.end(n)]),
      // Seconds behind what is listed last.
      behind: element.seekable.length > 0 ? element.seekable.end(element.seekable.length - 1) - element.currentTime : null,
      height: element.videoHeight,
      paused: element.paused,
      frames: element.getVideoPlaybackQuality().totalVideoFrames,
      sound: element.webkitAudioDecodedByteCount,
      colour,
      sources: globalThis.sources ?? null,
      isSame: globalThis.decoy === element && document.getElementById('decoy') !== null,
      reconnecting: document.querySelector('.player-wait') !== null,
      failure: document.querySelector('.player-failure')?.textContent ?? element.error?.message ?? null,
    };
  });
}
