// Every page at two sizes, in light and dark, in both languages: a picture, what axe finds, and where its links lead.
//
//   node looks.js --base URL --creator NAME:PASSWORD --video ID [--gated ID] [--event ID] [--out FOLDER]
//
// Prints the findings as JSON; a link that leads nowhere is one of them.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { signIn, tell, witness } from './chromium.js';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string', default: process.env.BASE_URL },
    creator: { type: 'string', default: process.env.CREATOR },
    video: { type: 'string', default: process.env.VIDEO },
    gated: { type: 'string', default: process.env.GATED },
    event: { type: 'string', default: process.env.EVENT },
    out: { type: 'string', default: process.env.OUT ?? 'looks' },
  },
});
const { base, creator, video, gated, event, out } = args;

const SIZES = [
  { width: 360, height: 640 },
  { width: 1280, height: 800 },
];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
mkdirSync(out, { recursive: true });

/** Pages by name; the first group is seen signed out. */
const OPEN = {
  home: '/',
  'sign-in': '/sign-in?return=/upload',
  register: '/register',
  lost: '/no/such/page',
  ...(gated && { refused: `/watch/${gated}` }),
};
const MINE = {
  'home-creator': '/',
  watch: `/watch/${video}`,
  upload: '/upload',
  studio: '/my/videos',
  edit: `/my/videos/${video}`,
  events: '/my/events',
  ...(event && { event: `/my/events/${event}`, soon: `/watch/${event}` }),
};

await tell(async (browser) => {
  const findings = [];
  const complaints = [];
  const strangers = new Set();
  const followed = new Set();
  let pictures = 0;
  const probe = await browser.newContext();
  await signIn(await probe.newPage(), base, creator);
  const { cookies } = await probe.storageState();
  await probe.close();

  for (const viewport of SIZES) {
    for (const colorScheme of ['light', 'dark']) {
      for (const lang of ['es', 'en']) {
        for (const [pages, session] of [[OPEN, []], [MINE, cookies]]) {
          const context = await browser.newContext({ viewport, colorScheme, locale: lang });
          await context.addCookies([...session, { name: 'lang', value: lang, url: base }]);
          const seen = witness(context, base);
          for (const [name, path] of Object.entries(pages)) {
            const page = await context.newPage();
            await page.goto(base + path, { waitUntil: 'load' });
            await settle(page, name);
            const label = `${name}-${viewport.width}-${colorScheme}-${lang}`;
            await page.screenshot({ path: join(out, `${label}.png`), fullPage: true });
            pictures += 1;
            findings.push(...(await examine(page, label)), ...(await follow(page, label, session, followed)));
            await page.close();
          }
          complaints.push(...seen.complaints);
          seen.strangers.forEach((url) => strangers.add(url));
          await context.close();
        }
      }
    }
  }
  return { pictures, followed: followed.size, findings, complaints, strangers: [...strangers] };
});

/** Waits for a page's island, where it has one. */
async function settle(page, name) {
  const island = { watch: '.player-start', upload: '.drop', studio: '#studio [data-id], #studio .empty', soon: '#live .live-card', event: '#health .figures' }[name];
  if (island) await page.waitForSelector(island);
}

async function examine(page, label) {
  // Evaluated by the debugger, so that the page's own policy stays as it is.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const found = violations.map(({ id, help, nodes }) => ({
    page: label,
    rule: id,
    help,
    at: nodes.slice(0, 3).map((node) => node.target.join(' ')),
  }));
  if (overflow > 0) found.push({ page: label, rule: 'overflow', help: `${overflow} px wider than the screen`, at: [] });
  return found;
}

/** Goes where the page's links within the site lead, once for each and for each kind of visitor. */
async function follow(page, label, session, followed) {
  const links = await page.locator('[href], [src]').evaluateAll((elements) =>
    elements.map((element) => element.href ?? element.src).filter((url) => typeof url === 'string'));
  const found = [];
  for (const link of new Set(links)) {
    const { origin, pathname, search, hash } = new URL(link);
    if (origin !== new URL(base).origin) continue;
    const here = new URL(page.url());
    if (pathname === here.pathname && search === here.search) {
      const isDead = hash && !(await page.locator(hash).count());
      if (isDead) found.push({ page: label, rule: 'link', help: `nothing is called ${hash}`, at: [] });
      continue;
    }
    // Grants differ from page to page, and where they lead does not.
    const target = `${session.length > 0} ${pathname.replace(/^\/t\/[^/]+/, '/t/…')}${search}`;
    if (followed.has(target)) continue;
    followed.add(target);
    const answer = await page.context().request.get(origin + pathname + search);
    if (!answer.ok()) found.push({ page: label, rule: 'link', help: `${answer.status()} at ${pathname}`, at: [] });
  }
  return found;
}
