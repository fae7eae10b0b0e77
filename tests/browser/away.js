// A film is watched from an edge of its own while its origin goes and comes back.
//
//   node away.js --base URL --edge URL --viewer NAME:PASSWORD --video ID --out DIR [--patience 120]
//
// Media come from the edge, everything else from the origin, as behind a proxy. Writes DIR/playing
// once the film plays and goes on when DIR/away is there; writes DIR/played and goes on when
// DIR/back is there. Prints what was seen as JSON.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    edge: { type: 'string' },
    viewer: { type: 'string' },
    video: { type: 'string' },
    out: { type: 'string' },
    patience: { type: 'string', default: '120' },
  },
});
const { base, edge, viewer, video, out } = args;
const patience = Number(args.patience);

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport: { width: 1280, height: 800 } });
  const seen = witness(context, base);
  const page = await context.newPage();
  const media = [];
  await page.route(/\/[vt]\//, async (route) => {
    const { pathname, search } = new URL(route.request().url());
    const response = await route.fetch({ url: `${edge}${pathname}${search}` });
    media.push(response.status());
    await route.fulfill({ response });
  });
  await signIn(page, base, viewer);
  await page.goto(`${base}/watch/${video}`);
  await page.locator('.player-start').click();
  await page.waitForSelector('media-controller video');

  const reach = (what, seconds) => until(what, async () => {
    const now = await look(page);
    if (now.failure) throw new Error(`the player failed: ${now.failure}`);
    return now.time > seconds && !now.seeking ? now : null;
  }, patience);
  const told = (name) => until(`the story to say ${name}`, async () => existsSync(join(out, name)), patience);

  const begun = await reach('two seconds of play', 2);
  writeFileSync(join(out, 'playing'), '');
  await told('away');
  const before = media.length;
  await seek(page, begun.duration * 0.6);
  const away = await reach('play without an origin', begun.duration * 0.6 + 3);
  const meanwhile = media.length - before;
  writeFileSync(join(out, 'played'), '');
  await told('back');
  await seek(page, begun.duration * 0.9);
  const back = await reach('play with the origin back', begun.duration * 0.9 + 2);
  return { begun, away, back, meanwhile, statuses: [...new Set(media)], complaints: seen.complaints };
});

function look(page) {
  return page.evaluate(() => {
    const element = document.querySelector('media-controller video');
    return {
      time: element.currentTime,
      duration: element.duration,
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
