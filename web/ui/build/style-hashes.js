import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTROLS } from '../src/player/controls.list.js';

/**
 * Writes `csp.json`: the hash of every style element that a control puts into its shadow tree.
 *
 * The controls style themselves with inline `<style>` elements, which a strict content security
 * policy refuses. Naming their hashes keeps `'unsafe-inline'` out of the policy.
 */
export function styleHashes() {
  let folder;
  return {
    name: 'cocuyo-style-hashes',
    apply: 'build',
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      const hashes = new Set();
      for (const name of CONTROLS) {
        const { default: control } = await import(`media-chrome/dist/${name}.js`);
        for (const [, css] of control.getTemplateHTML({}, {}).matchAll(/<style>([^]*?)<\/style>/g)) {
          hashes.add(`sha256-${createHash('sha256').update(css).digest('base64')}`);
        }
      }
      writeFileSync(join(folder, 'csp.json'), JSON.stringify({ style: [...hashes].sort() }));
    },
  };
}
