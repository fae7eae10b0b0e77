// A viewer of a live event: the site's own player in Chromium, on a page of its own at the site's address, so that
// what hls.js says can be heard and what is on screen can be read.
//
//   node live.js --base URL --login NAME:PASSWORD
//
// Takes one command a line on standard input and tells one event a line on standard output, both as JSON:
//
//   {"join": ID, "level": "source"}   joined: milliseconds to the first picture. Without `level` the player decides
//   {"ages": SECONDS}                 ages: milliseconds since each picture was drawn by its encoder
//   {"look": true}                    look: what went wrong so far, and what is on screen
//   {"close": true}                   closed
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { launch, signedIn } from '../../tests/browser/chromium.js';
import { leanHls } from '../../web/ui/build/lean-hls.js';

const { values: args } = parseArgs({ options: { base: { type: 'string' }, login: { type: 'string' } } });
const { base, login } = args;
const PAGE = `${base}/bench`;
const HTML = `<!doctype html><style>body{margin:0}video{width:1280px;height:720px}</style>
<video muted playsinline></video><canvas width="640" height="360" hidden></canvas><script src="/bench.js"></script>`;

const tell = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));

const script = await bundle();
const browser = await launch();
// Strangers see no more than 480 lines.
const storageState = await signedIn(browser, base, login);
let viewer = null;
tell('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    if (command.join) await join(command.join, command.level);
    else if (command.ages) tell('ages', await viewer.page.evaluate((s) => window.bench.ages(s), command.ages));
    else if (command.look) tell('look', await viewer.page.evaluate(() => window.bench.look()));
    else if (command.close) await close();
  } catch (error) {
    tell('failed', { why: String(error) });
  }
}
await browser.close();

/** A new viewer each time: what an earlier one has cached or learnt of the line is gone. */
async function join(id, level) {
  await close(false);
  const context = await browser.newContext({ storageState, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  viewer = { context, page };
  await page.route(PAGE, (route) => route.fulfill({ contentType: 'text/html', body: HTML }));
  await page.route('**/bench.js', (route) => route.fulfill({ contentType: 'text/javascript', body: script }));
  await page.goto(PAGE);
  tell('joined', { ms: await page.evaluate(([id, level]) => window.bench.join(id, level), [id, level ?? null]) });
}

async function close(says = true) {
  await viewer?.context.close();
  viewer = null;
  if (says) tell('closed');
}

/** The player with the site's sources, without their texts. */
async function bundle() {
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  const ui = createRequire(here('../../web/ui/package.json'));
  const { rolldown } = await import(ui.resolve('rolldown'));
  const texts = {
    name: 'texts',
    resolveId: (id) => (id.includes('/paraglide/') ? '\0texts' : null),
    load: (id) => (id === '\0texts' ? 'export const m = {}; export const overwriteGetLocale = () => undefined;' : null),
  };
  const lean = leanHls();
  const bundled = await rolldown({
    input: here('player.js'),
    // As the site's own build does: only those parts of hls.js that it uses.
    plugins: [texts, lean],
    transform: { define: lean.config().define },
    resolve: { modules: [here('../../web/ui/node_modules')], extensionAlias: { '.js': ['.ts', '.js'] } },
    logLevel: 'silent',
  });
  const { output } = await bundled.generate({ format: 'iife' });
  return output[0].code;
}
