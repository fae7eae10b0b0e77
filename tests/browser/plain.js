// The site without JavaScript: sign in, edit by the form, change the language, play the plain MP4, sign out.
//
//   node plain.js --base URL --creator NAME:PASSWORD --video ID
//
// Prints what was seen as JSON.
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string', default: process.env.BASE_URL },
    creator: { type: 'string', default: process.env.CREATOR },
    video: { type: 'string', default: process.env.VIDEO },
  },
});
const { base, creator, video } = args;
const DESCRIPTION = 'Escrita sin JavaScript.\nSegunda línea.';

await tell(async (browser) => {
  const context = await browser.newContext({
    locale: 'es-CU',
    javaScriptEnabled: false,
    viewport: { width: 360, height: 640 },
  });
  const seen = witness(context, base);
  const page = await context.newPage();

  await page.goto(`${base}/sign-in`);
  await page.fill('input[name=username]', 'nobody-of-that-name');
  await page.fill('input[name=password]', 'not the password');
  await page.click('main form button');
  const wrongPassword = await page.locator('[role=alert]').innerText();

  await signIn(page, base, creator);
  await page.goto(`${base}/upload`);
  const upload = await page.locator('#upload').innerText();

  await page.goto(`${base}/my/videos`);
  const listed = await page.locator('#studio li').count();
  await page.goto(`${base}/my/videos/${video}`);
  await page.fill('textarea[name=description]', DESCRIPTION);
  await page.click('main form button');
  const saved = await page.locator('[role=status]').innerText();

  await page.goto(`${base}/watch/${video}`);
  const description = await page.locator('.description').innerText();
  const costs = await page.locator('.quality').allInnerTexts();
  const source = new URL(await page.locator('video source').getAttribute('src'), base).pathname;
  // The element's own controls: a press of space while they have the focus.
  await page.locator('video').focus();
  await page.keyboard.press('Space');
  const played = await until('five seconds of play', async () => {
    const now = await page.evaluate(() => {
      const element = document.querySelector('video');
      return {
        time: element.currentTime,
        duration: element.duration,
        height: element.videoHeight,
        sound: element.webkitAudioDecodedByteCount,
        error: element.error?.message ?? null,
      };
    });
    if (now.error) throw new Error(`the file does not play: ${now.error}`);
    return now.time > 5 && now.sound > 0 ? now : null;
  });

  await page.locator('.menu summary').click();
  await page.locator('button[name=lang][value=en]').click();
  const language = await page.locator('html').getAttribute('lang');
  await page.locator('.menu summary').click();
  await page.locator('form[action="/sign-out"] button').click();
  await page.goto(`${base}/my/videos`);
  const afterSignOut = new URL(page.url()).pathname;

  return {
    wrongPassword,
    upload,
    listed,
    saved,
    description,
    costs,
    source: source.replace(/\/t\/[^/]+/, '/t/…'),
    played,
    language,
    afterSignOut,
    complaints: seen.complaints,
    strangers: [...seen.strangers],
  };
});
