// A creator signs in, uploads with a pause, watches the progress, edits, publishes and plays; others are refused,
// and so are a file that is no film and, with a limit, one that is too large.
//
//   node journey.js --base URL --creator NAME:PASSWORD --viewer NAME:PASSWORD --file PATH [--tier 1] [--patience 300]
//                   [--limit BYTES]
//
// Prints what was seen as JSON; exits with 1 and the last sight when something never came.
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string', default: process.env.BASE_URL },
    creator: { type: 'string', default: process.env.CREATOR },
    viewer: { type: 'string', default: process.env.VIEWER },
    file: { type: 'string', default: process.env.FILE },
    tier: { type: 'string', default: '1' },
    patience: { type: 'string', default: '300' },
    limit: { type: 'string' },
  },
});
const { base, creator, viewer, file, tier } = args;
const patience = Number(args.patience);
/** Slow enough for a person, or a story, to press pause in the middle. */
const LINE_BYTES_PER_S = 1_000_000;
const TITLE = 'Una prueba con "comillas" & <b>signos</b>';

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const seen = witness(context, base);
  const page = await context.newPage();
  await signIn(page, base, creator);

  const tooLarge = args.limit ? await uploadTooMuch(page, Number(args.limit)) : null;
  const notFilm = await uploadNoFilm(page);
  const uploaded = await upload(context, page);
  const packaged = await packageAndPublish(page, uploaded.video);
  const played = await play(page, uploaded.video);
  const refused = await refuse(browser, uploaded.video);

  return {
    video: uploaded.video,
    tooLarge,
    notFilm,
    uploaded,
    packaged,
    played,
    refused,
    complaints: seen.complaints,
    strangers: [...seen.strangers],
  };
});

/** One byte more than the limit: the page says why not. */
async function uploadTooMuch(page, limit) {
  await page.goto(`${base}/upload`);
  const buffer = Buffer.alloc(limit + 1);
  await page.setInputFiles('#upload input[type=file]', { name: 'enorme.mp4', mimeType: 'video/mp4', buffer });
  const row = page.locator('#upload li.card').first();
  await until('the upload to be refused', async () => (await row.getAttribute('data-stage')) === 'failed');
  return row.locator('[role=alert]').innerText();
}

/** A text with the name of a film is taken, fails, and says why in the list. */
async function uploadNoFilm(page) {
  await page.goto(`${base}/upload`);
  const buffer = Buffer.from('Esto no es una película.\n'.repeat(400));
  await page.setInputFiles('#upload input[type=file]', { name: 'carta.mp4', mimeType: 'video/mp4', buffer });
  const sent = page.locator('#upload li.card').first();
  await until('the text to be sent', async () => (await sent.getAttribute('data-stage')) === 'finished');
  const video = await sent.getAttribute('data-video');
  await page.goto(`${base}/my/videos`);
  const row = page.locator(`#studio li[data-id="${video}"]`);
  await until('the text to fail', async () => (await row.getAttribute('data-state')) === 'failed');
  return row.locator('.notice.bad').innerText();
}

async function upload(context, page) {
  const line = await context.newCDPSession(page);
  const throttle = (uploadThroughput) =>
    line.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  // The requests that carry bytes now, and where to.
  const open = new Set();
  let location = null;
  page.on('request', (request) => {
    if (request.method() !== 'PATCH') return;
    open.add(request);
    location = request.url();
  });
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => open.delete(request));

  await throttle(LINE_BYTES_PER_S);
  await page.goto(`${base}/upload`);
  await page.setInputFiles('#upload input[type=file]', file);
  const row = page.locator('#upload li.card').first();
  const shown = async () => Number(await row.locator('progress').getAttribute('value').catch(() => 0));
  const stage = async () => {
    const now = await row.getAttribute('data-stage');
    if (now === 'failed') throw new Error(`the upload failed: ${await row.innerText()}`);
    return now;
  };
  const sent = [];
  await until('the upload to be under way', async () => {
    sent.push(await shown());
    return (await stage()) === 'sending' && distinct(sent).length > 3;
  });

  await row.getByRole('button', { name: 'Pausar' }).click();
  await until('the bytes to stand still', async () => (await stage()) === 'paused' && open.size === 0);
  const video = await row.getAttribute('data-video');
  const offset = async () => {
    const answer = await context.request.head(location, { headers: { 'Tus-Resumable': '1.0.0' } });
    return Number(answer.headers()['upload-offset']);
  };
  const standing = await offset();
  // The page asks for itself, over its slow line.
  await until('the page to say what the server has', async () => (await shown()) === standing);
  // Meanwhile another page knows of the upload.
  const other = await context.newPage();
  await other.goto(`${base}/my/videos`);
  const elsewhere = await other.locator(`#studio li[data-id="${video}"]`).getAttribute('data-state');
  await other.close();
  const paused = { standing, still: await offset(), shown: await shown(), sending: open.size, elsewhere };

  await throttle(-1);
  await row.getByRole('button', { name: 'Continuar' }).click();
  await until('the upload to finish', async () => (await stage()) === 'finished', patience);
  return { video, sent: distinct(sent), paused };
}

async function packageAndPublish(page, video) {
  await page.goto(`${base}/my/videos`);
  const row = page.locator(`#studio li[data-id="${video}"]`);
  await row.locator('button[aria-expanded]').click();
  await row.locator('input[name=title]').fill(TITLE);
  await row.locator('textarea[name=description]').fill('Primera línea\n</script><script>document.title="robado"</script>');
  await row.locator('select[name=visibility]').selectOption('public');
  await row.locator('select[name=min_tier]').selectOption(tier);
  await row.locator('button[type=submit]').click();
  await until('the edit to be saved', async () => (await row.locator('form [role=status]').innerText()) !== '');

  // Nobody reloads: the list tells by itself.
  const progress = [];
  await until('the video to be ready', async () => {
    const state = await row.getAttribute('data-state');
    const bar = row.locator('progress');
    // In one look: the bar may go between two.
    progress.push(...(await bar.evaluateAll((bars) => bars.filter((one) => one.hasAttribute('value')).map((one) => one.value))));
    if (state === 'failed') throw new Error(`packaging failed: ${await row.innerText()}`);
    return state === 'ready';
  }, patience);
  return { title: await row.locator('h2').innerText(), progress: distinct(progress) };
}

/** The sights in order, each told once while it lasts. */
function distinct(sights) {
  return sights.filter((sight, at) => sight !== sights[at - 1]);
}

async function play(page, video) {
  const fetched = [];
  page.on('response', (response) => fetched.push(`${response.url().slice(-20)} ${response.status()}`));
  const scripts = [];
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname;
    if (path.endsWith('.js')) scripts.push(path);
  });
  await page.goto(`${base}/watch/${video}`);
  await page.waitForSelector('.player-start');
  const scriptsBeforePlay = [...scripts];
  const heading = await page.locator('h1').innerText();
  const costs = await page.locator('label.quality').allInnerTexts();
  await page.locator('.player-start').click();

  await page.waitForSelector('media-controller video');
  const look = () =>
    page.evaluate(() => {
      const element = document.querySelector('media-controller video');
      return {
        time: element.currentTime,
        duration: element.duration,
        height: element.videoHeight,
        sound: element.webkitAudioDecodedByteCount,
        picture: element.webkitVideoDecodedByteCount,
        paused: element.paused,
        ended: element.ended,
        seeking: element.seeking,
        buffered: Array.from({ length: element.buffered.length }, (_, at) => [element.buffered.start(at), element.buffered.end(at)]),
        failure: document.querySelector('.player-failure')?.textContent ?? null,
      };
    });
  const reach = async (what, check, deadline_s) => {
    let now;
    const reached = until(what, async () => {
      now = await look();
      if (now.failure) throw new Error(`the player failed: ${now.failure}`);
      return check(now) ? now : null;
    }, deadline_s);
    return reached.catch((error) => Promise.reject(new Error(`${error.message}; ${JSON.stringify({ now, lately: fetched.slice(-12) })}`)));
  };

  const past5 = await reach('five seconds of play', (now) => now.time > 5 && now.sound > 0);
  const options = await page.locator('label.quality input').evaluateAll((inputs) => inputs.map((input) => input.value));
  const heights = options.filter((option) => /^\d+p$/.test(option));

  // The clip may be short: going back keeps it playing while qualities change.
  const restart = () =>
    page.evaluate(() => {
      const element = document.querySelector('media-controller video');
      element.currentTime = 0;
      return element.play();
    });
  const choose = (option) => page.locator(`label.quality input[value="${option}"]`).check({ force: true });
  const switched = {};
  for (const option of [heights[heights.length - 1], heights[0], 'saver']) {
    await restart();
    await choose(option);
    const limit = option === 'saver' ? 240 : Number.parseInt(option, 10);
    switched[option] = (
      await reach(`quality ${option}`, (now) =>
        option === 'saver' ? now.height > 0 && now.height <= limit : now.height === limit)
    ).height;
  }

  // A piece that is missing once: hls.js goes to another quality, and the choice stands all the same.
  const best = Number.parseInt(heights[0], 10);
  let missed = 0;
  const isBest = ({ pathname }) => pathname.includes(`/${heights[0]}/`) && pathname.endsWith('.m4s');
  await page.route(isBest, (route) => {
    missed += 1;
    return route.fulfill({ status: 404 });
  });
  await choose(heights[0]);
  await reach('a piece to be missed', (now) => missed > 0 && now.height < best);
  await page.unroute(isBest);
  // By itself hls.js comes back in half a minute, to what is not loaded yet.
  const stood = await reach('the choice to stand', (now) => now.height === best, 25);

  let soundAlone = null;
  if (options.includes('audio')) {
    await page.evaluate(() => {
      document.querySelector('media-controller video').currentTime = 0;
    });
    await page.locator('label.quality input[value="audio"]').check({ force: true });
    soundAlone = await reach('sound alone', (now) => now.height === 0 && now.time > 1 && now.sound > 0);
  }

  // Keys, with the focus on the player.
  await page.locator('media-controller').focus();
  const wasPaused = (await look()).paused;
  await page.keyboard.press('k');
  const byKey = await reach('the key to work', (now) => now.paused !== wasPaused);
  return { heading, costs, scriptsBeforePlay, scripts, past5, switched, missed, stood, soundAlone, pausedByKey: byKey.paused };
}

async function refuse(browser, video) {
  const told = {};
  for (const [who, login] of [['viewer', viewer], ['anonymous', null]]) {
    const context = await browser.newContext({ locale: 'es-CU' });
    const page = await context.newPage();
    if (login) await signIn(page, base, login);
    const response = await page.goto(`${base}/watch/${video}`);
    const playback = await context.request.post(`${base}/api/v1/videos/${video}/playback`, {
      headers: { Origin: new URL(base).origin },
    });
    told[who] = {
      status: response.status(),
      text: (await page.locator('.refusal').innerText()).trim(),
      signInLink: await page.locator('.refusal a').count(),
      players: await page.locator('video').count(),
      playback: playback.status(),
    };
    await context.close();
  }
  return told;
}
