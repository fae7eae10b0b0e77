// A creator signs in, uploads, watches the progress, edits, publishes and plays; others are refused.
//
//   node journey.js --base URL --creator NAME:PASSWORD --viewer NAME:PASSWORD --file PATH [--tier 1] [--patience 300]
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
  },
});
const { base, creator, viewer, file, tier } = args;
const patience = Number(args.patience);
const TITLE = 'Una prueba con "comillas" & <b>signos</b>';

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const seen = witness(context, base);
  const page = await context.newPage();
  await signIn(page, base, creator);

  const uploaded = await upload(page);
  const packaged = await packageAndPublish(page, uploaded.video);
  const played = await play(page, uploaded.video);
  const refused = await refuse(browser, uploaded.video);

  return {
    video: uploaded.video,
    uploaded,
    packaged,
    played,
    refused,
    complaints: seen.complaints,
    strangers: [...seen.strangers],
  };
});

async function upload(page) {
  await page.goto(`${base}/upload`);
  await page.setInputFiles('#upload input[type=file]', file);
  const row = page.locator('#upload li.card').first();
  const sent = [];
  await until('the upload to finish', async () => {
    const bar = row.locator('progress');
    if (await bar.count()) sent.push(Number(await bar.getAttribute('value').catch(() => 0)));
    const stage = await row.getAttribute('data-stage');
    if (stage === 'failed') throw new Error(`the upload failed: ${await row.innerText()}`);
    return stage === 'finished';
  }, patience);
  return { video: await row.getAttribute('data-video'), sent: distinct(sent) };
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
    if (await bar.count()) progress.push(Number(await bar.getAttribute('value').catch(() => 0)));
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
  const before = [];
  page.on('request', (request) => before.push(new URL(request.url()).pathname));
  await page.goto(`${base}/watch/${video}`);
  await page.waitForSelector('.player-start');
  const scriptsBeforePlay = before.filter((path) => path.endsWith('.js'));
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
        failure: document.querySelector('.player-failure')?.textContent ?? null,
      };
    });
  const reach = (what, check) =>
    until(what, async () => {
      const now = await look();
      if (now.failure) throw new Error(`the player failed: ${now.failure}`);
      return check(now) ? now : null;
    });

  const past5 = await reach('five seconds of play', (now) => now.time > 5 && now.sound > 0);
  const options = await page.locator('label.quality input').evaluateAll((inputs) => inputs.map((input) => input.value));
  const heights = options.filter((option) => /^\d+p$/.test(option));

  // The clip may be short: going back keeps it playing while qualities change.
  const switched = {};
  for (const option of [heights[heights.length - 1], heights[0], 'saver']) {
    await page.evaluate(() => {
      document.querySelector('media-controller video').currentTime = 0;
    });
    await page.locator(`label.quality input[value="${option}"]`).check({ force: true });
    const limit = option === 'saver' ? 240 : Number.parseInt(option, 10);
    switched[option] = (
      await reach(`quality ${option}`, (now) =>
        option === 'saver' ? now.height > 0 && now.height <= limit : now.height === limit)
    ).height;
  }

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
  return { heading, costs, scriptsBeforePlay, past5, switched, soundAlone, pausedByKey: byKey.paused };
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
