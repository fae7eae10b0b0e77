// A film is watched while it is made: from its first second, then four fifths on, until the better picture is taken up.
//
//   node playing.js --base URL --creator NAME:PASSWORD --video ID [--best 480] [--patience 300]
//
// The video must play already. Prints what was seen as JSON; exits with 1 and the last sight when something never came.
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string', default: process.env.BASE_URL },
    creator: { type: 'string', default: process.env.CREATOR },
    video: { type: 'string', default: process.env.VIDEO },
    best: { type: 'string', default: '480' },
    patience: { type: 'string', default: '300' },
  },
});
const { base, creator, video } = args;
const best = Number(args.best);
const patience = Number(args.patience);

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const seen = witness(context, base);
  const page = await context.newPage();
  await signIn(page, base, creator);
  await page.goto(`${base}/watch/${video}`);
  const segments = segmentsOf(page);
  const told = toldOf(page);
  await page.waitForSelector('.player-start');
  const before = await state(context);
  await page.locator('.player-start').click();
  await page.waitForSelector('media-controller video');
  await watchForStalls(page);

  const reach = async (what, check) => {
    let now;
    try {
      return await until(what, async () => {
        now = await look(page);
        if (now.failure) throw new Error(`the player failed: ${now.failure}`);
        return check(now) ? now : null;
      }, patience);
    } catch (error) {
      throw new Error(`${error.message}: ${JSON.stringify({ now, lately: segments.slice(-12) })}`, { cause: error });
    }
  };

  const begun = await reach('the first picture', (now) => now.time > 0 && now.height > 0);
  const past5 = await reach('five seconds of play', (now) => now.time > 5);
  const whileMade = await state(context);
  const target = past5.duration * 0.8;
  await seek(page, target);
  const sought = await reach('the picture four fifths on', (now) => !now.seeking && now.time > target + 2);

  // What is loaded ahead stays as it is: better pictures come where nothing was loaded before the
  // page heard of them.
  await page.evaluate(() => document.querySelector('media-controller video').pause());
  await until('the page to hear that the video is ready', async () => told.at(-1) === 'ready', patience);
  await seek(page, past5.duration * 0.6);
  const better = await reach(`the picture of ${best} lines`, (now) => now.height === best);

  return {
    before,
    begun,
    past5,
    whileMade,
    sought,
    better,
    stalls: await page.evaluate(() => globalThis.stalls),
    twice: segments.filter((url, at) => segments.indexOf(url) !== at),
    again: inAnother(segments),
    complaints: seen.complaints,
    strangers: [...seen.strangers],
  };
});

async function state(context) {
  const answer = await context.request.get(`${base}/api/v1/videos/${video}`);
  const { state, stage, plays, progress } = await answer.json();
  return { state, stage, plays, progress };
}

function look(page) {
  return page.evaluate(() => {
    const element = document.querySelector('media-controller video');
    return {
      time: element.currentTime,
      duration: element.duration,
      height: element.videoHeight,
      seeking: element.seeking,
      failure: document.querySelector('.player-failure')?.textContent ?? null,
    };
  });
}

function seek(page, seconds) {
  return page.evaluate((at) => {
    const element = document.querySelector('media-controller video');
    element.currentTime = at;
    void element.play();
  }, seconds);
}

/** Notes how long each stop in the middle of play lasts, in milliseconds; a seek's wait counts as one. */
function watchForStalls(page) {
  return page.evaluate(() => {
    const element = document.querySelector('media-controller video');
    globalThis.stalls = [];
    let since = null;
    // What it takes to begin is no stop.
    element.addEventListener('waiting', () => {
      if (element.currentTime > 0) since ??= performance.now();
    });
    element.addEventListener('playing', () => {
      if (since !== null) globalThis.stalls.push(Math.round(performance.now() - since));
      since = null;
    });
  });
}

/** The states of the video that the page was told, in order. */
function toldOf(page) {
  const states = [];
  page.on('response', async (response) => {
    if (new URL(response.url()).pathname !== `/api/v1/videos/${video}`) return;
    const { state } = await response.json().catch(() => ({}));
    if (state) states.push(state);
  });
  return states;
}

/** Stretches of sound and of picture that came more than once, in whichever rendition. */
function inAnother(paths) {
  const stretches = paths.map((path) => {
    const [, rendition, number] = /\/([^/]+)\/(\d+)\.m4s$/.exec(path);
    return `${rendition.startsWith('a') ? 'sound' : 'picture'} ${number}`;
  });
  return stretches.filter((stretch, at) => stretches.indexOf(stretch) !== at);
}

/** The paths of media segments that came, in order. */
function segmentsOf(page) {
  const paths = [];
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (pathname.endsWith('.m4s') && response.status() === 200) paths.push(pathname);
  });
  return paths;
}
