// The owner of a film types chapters, presses them on its page, trims its ends and undoes that.
//
//   node shelf.js --base URL --creator NAME:PASSWORD --video ID --width 360 --height 640 [--out FOLDER]
//
// The film lasts 24 s, in segments of 4 s. Prints what was seen as JSON.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { signIn, tell, until, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string', default: process.env.BASE_URL },
    creator: { type: 'string', default: process.env.CREATOR },
    video: { type: 'string', default: process.env.VIDEO },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '800' },
    out: { type: 'string', default: process.env.OUT ?? 'shelf' },
  },
});
const { base, creator, video, out } = args;
const viewport = { width: Number(args.width), height: Number(args.height) };
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const EDIT = `${base}/my/videos/${video}`;
mkdirSync(out, { recursive: true });

await tell(async (browser) => {
  const context = await browser.newContext({ locale: 'es-CU', viewport });
  const seen = witness(context, base);
  const page = await context.newPage();
  await signIn(page, base, creator);

  const wrong = await chapters('0:00 Intro\nsin tiempo');
  const typed = await chapters('0:00 Intro\n0:08 La mitad\n0:16.500 Final');
  const inList = await list('0:00 Intro\n0:99 La mitad');
  const shown = await watch('whole');
  const refused = await trim('0:20', '0:05');
  await trim('0:08', '0:16');
  const trimmed = await left((sentence) => sentence.startsWith('Recortado'));
  const after = await watch('left');
  await page.goto(EDIT);
  await page.click('form[action$="/trim/undo"] button');
  const undone = await left((sentence) => sentence === '');
  const before = await watch('undone');
  return { wrong, typed, inList, shown, refused, trimmed, after, undone, before, complaints: seen.complaints, strangers: [...seen.strangers] };

  /** Saves these chapters by the form; what it says then. */
  async function chapters(lines) {
    await page.goto(EDIT);
    await page.fill('textarea[name=chapters]', lines);
    await page.click('main form.card button');
    return form('chapters');
  }

  /** The same in the list of the studio, where the form is a script's. */
  async function list(lines) {
    await page.goto(`${base}/my/videos`);
    const row = page.locator(`[data-id="${video}"]`);
    await row.locator('button[aria-expanded]').first().click();
    const field = row.locator('textarea[name=chapters]');
    await field.fill(lines);
    await row.locator('form button[type=submit]').click();
    const fault = row.locator('.fault');
    await fault.waitFor();
    await page.screenshot({ path: join(out, `list-${viewport.width}.png`), fullPage: true });
    const told = await fault.getAttribute('id');
    return {
      fault: await fault.innerText(),
      isItsFields: (await field.getAttribute('aria-describedby')) === told,
      isInvalid: await field.getAttribute('aria-invalid'),
      chapters: await field.inputValue(),
    };
  }

  async function trim(from, to) {
    await page.goto(EDIT);
    await page.click('details.plain summary');
    await page.fill('input[name=from]', from);
    await page.fill('input[name=to]', to);
    await page.click('form[action$="/trim"] button');
    return form(`trim-${to.replace(':', '')}`);
  }

  /** What the page of the form says, and what stands in it. */
  async function form(name) {
    await page.screenshot({ path: join(out, `${name}-${viewport.width}.png`), fullPage: true });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const fault = page.locator('.fault');
    // While a film is trimmed nothing is asked for its ends.
    const value = async (field) => {
      const named = page.locator(`[name=${field}]`);
      return (await named.count()) ? named.inputValue() : null;
    };
    return {
      fault: (await fault.count()) ? await fault.innerText() : null,
      isInSight: (await fault.count()) ? await fault.isVisible() : null,
      violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`),
      status: await page.locator('[role=status]').allInnerTexts(),
      chapters: await value('chapters'),
      from: await value('from'),
      to: await value('to'),
      overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    };
  }

  /** Loads the page of the form until what it says of the trim `is` there. */
  async function left(is) {
    return until('the trim', async () => {
      await page.goto(EDIT);
      const notice = page.locator('main > .notice').first();
      const sentence = (await notice.count()) ? await notice.innerText() : '';
      return is(sentence) ? { sentence, ...(await form('trimmed')) } : null;
    });
  }

  /** The film's page: its chapters, and where pressing the last leads. */
  async function watch(name) {
    await page.goto(`${base}/watch/${video}`);
    const listed = page.locator('button.chapter');
    await listed.first().waitFor();
    const texts = await listed.allInnerTexts();
    await listed.last().click();
    await page.waitForSelector('media-controller video');
    const played = await until('the chapter to play', () =>
      page.evaluate(() => {
        const video = document.querySelector('media-controller video');
        const bar = document.querySelector('media-time-range');
        const cues = [...(bar?.mediaChaptersCues ?? [])];
        const current = document.querySelector('.chapter[aria-current]')?.textContent.trim();
        if (!(video.currentTime > 0 && !video.seeking && video.readyState > 2 && current && cues.length)) return null;
        const segments = bar.shadowRoot.querySelectorAll('#segments-clipping rect').length;
        return { at: video.currentTime, duration: video.duration, current, bar: cues.map((cue) => cue.text), segments };
      }),
    );
    const first = listed.first();
    await first.click();
    const back = await until('the first chapter', () =>
      page.evaluate(() => {
        const { currentTime, seeking } = document.querySelector('media-controller video');
        return !seeking && currentTime < 4 ? { at: currentTime } : null;
      }),
    );
    await page.screenshot({ path: join(out, `${name}-${viewport.width}.png`), fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    return { texts, ...played, back: back.at, overflow };
  }
});
