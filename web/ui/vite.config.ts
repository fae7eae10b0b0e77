import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { compressed } from './build/compressed.js';
import { leanHls } from './build/lean-hls.js';
import { styleHashes } from './build/style-hashes.js';

// Rust renders the documents and reads `.vite/manifest.json` to print the tags; each entry is
// one page's island, and a page without an island loads the style sheet only.
export default defineConfig({
  base: '/assets/',
  plugins: [
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/paraglide',
      strategy: ['globalVariable', 'baseLocale'],
      outputStructure: 'message-modules',
      emitReadme: false,
    }),
    leanHls(),
    svelte(),
    styleHashes(),
    compressed(),
  ],
  build: {
    outDir: 'dist',
    // Rust serves the folder's files at `/assets/{file}`; names carry hashes.
    assetsDir: '',
    manifest: true,
    // Whose work the scripts carry along.
    license: { fileName: 'licenses.md' },
    // hls.js, which is loaded on first play only.
    chunkSizeWarningLimit: 700,
    // Svelte 5's own floor; older browsers keep the page that Rust rendered.
    target: ['chrome87', 'safari14', 'firefox83'],
    cssTarget: ['chrome87', 'safari14', 'firefox83'],
    modulePreload: { polyfill: false },
    // A `data:` URL would need a wider content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: {
        site: 'src/site.css',
        watch: 'src/watch.ts',
        upload: 'src/upload.ts',
        studio: 'src/studio.ts',
        live: 'src/live.ts',
        broadcast: 'src/broadcast.ts',
      },
    },
  },
});
