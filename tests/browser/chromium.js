import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

/** Debian's Chromium without a window; nothing is downloaded. */
export function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

/** What a browser complains about and whom else it asks; both lists should stay empty. */
export function witness(context, base) {
  const complaints = [];
  const strangers = new Set();
  context.on('console', (message) => {
    // A refused request is reported on the page as well, and stories refuse on purpose.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(base).origin) strangers.add(request.url());
  });
  return { complaints, strangers };
}

/** Asks `look` until it answers something true; after `deadline_s` fails with what it last saw. */
export async function until(what, look, deadline_s = 60) {
  const end = Date.now() + deadline_s * 1000;
  let seen;
  while (Date.now() < end) {
    seen = await look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${deadline_s} s for ${what}; last saw ${JSON.stringify(seen)}`);
}

/** Signs in by the form, as `name:password`. */
export async function signIn(page, base, who) {
  const [username, password] = splitOnce(who);
  await page.goto(`${base}/sign-in`);
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', password);
  await Promise.all([page.waitForURL(`${base}/`), page.click('main form button')]);
}

/** The cookies of somebody who signs in, for contexts of viewers who are. */
export async function signedIn(browser, base, login) {
  const context = await browser.newContext();
  await signIn(await context.newPage(), base, login);
  const { cookies } = await context.storageState();
  await context.close();
  return { cookies, origins: [] };
}

function splitOnce(who) {
  const at = who.indexOf(':');
  return [who.slice(0, at), who.slice(at + 1)];
}

/** Runs a story, prints its result as one JSON document, and closes the browser whatever happens. */
export async function tell(story) {
  const browser = await launch();
  try {
    console.log(JSON.stringify(await story(browser), null, 2));
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
