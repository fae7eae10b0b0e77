// A film whose best picture and whose best sound are in other codecs than the rest is watched up to its end.
//
//   node codecs.js --base URL --creator NAME:PASSWORD --video ID
//
// Prints what was seen as JSON; exits with 1 and the last sight when something never came.
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    creator: { type: 'string' },
    video: { type: 'string' },
  },
});
const { base, creator, video } = args;

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const seen = witness(context, base);
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => {
    const found = /\/([ap\d]+)\/\d+\.m4s/.exec(request.url());
    if (found) asked.push(found[1]);
  });
  await signIn(page, base, creator);
  await page.goto(`${base}/watch/${video}`);
  await page.locator('.player-start').click();
  await page.waitForSelector('media-controller video');
  const heights = [];
  const last = await until('the end of the film', async () => {
    const now = await page.evaluate(() => {
      const { currentTime, videoHeight, ended } = document.querySelector('media-controller video');
      const failure = document.querySelector('.player-failure')?.textContent ?? null;
      return { time: currentTime, height: videoHeight, ended, failure };
    });
    if (now.failure) throw new Error(`the player failed: ${now.failure}`);
    if (heights.at(-1) !== now.height) heights.push(now.height);
    return now.ended ? now : null;
  });
  return { last, heights, asked, complaints: seen.complaints, strangers: [...seen.strangers] };
});
