// Fails when what a page loads before play is heavier than its budget (KiB after brotli).
import { readFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';

const BUDGETS = { 'src/watch.ts': 60, 'src/upload.ts': 60, 'src/studio.ts': 60, 'src/live.ts': 60, 'src/broadcast.ts': 60, 'src/site.css': 12 };

const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));
const weigh = (file) => brotliCompressSync(readFileSync(`dist/${file}`)).length / 1024;

/** The files that `key` loads at once: itself and its static imports. */
function closure(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const other of manifest[key].imports ?? []) closure(other, seen);
  return seen;
}

let isHeavy = false;
for (const [entry, budget] of Object.entries(BUDGETS)) {
  const size = [...closure(entry)].reduce((sum, key) => sum + weigh(manifest[key].file), 0);
  console.log(`${entry} ${size.toFixed(1)} of ${budget} KiB`);
  isHeavy ||= size > budget;
}
if (isHeavy) process.exit(1);
