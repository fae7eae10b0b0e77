import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const SOURCE = join(dirname(createRequire(import.meta.url).resolve('hls.js/package.json')), 'src');

/** What hls.js calls its parts; its own light build is made with the same switches. */
const PARTS = {
  __USE_ALT_AUDIO__: true,
  __USE_MEDIA_CAPABILITIES__: true,
  __USE_CMCD__: false,
  __USE_CONTENT_STEERING__: false,
  __USE_EME_DRM__: false,
  __USE_IFRAMES__: false,
  __USE_INTERSTITIALS__: false,
  __USE_M2TS_ADVANCED_CODECS__: false,
  __USE_SUBTITLES__: false,
  __USE_VARIABLE_SUBSTITUTION__: false,
  __IN_WORKER__: false,
  __HLS_WORKER_BUNDLE__: 'undefined',
  __VERSION__: '""',
};

/** The modules of the parts that are left out, and of containers that we never send. */
const LEFT_OUT = [
  'controller/cmcd-controller',
  'controller/content-steering-controller',
  'controller/eme-controller',
  'controller/iframe-controller',
  'controller/interstitials-controller',
  'controller/subtitle-stream-controller',
  'controller/subtitle-track-controller',
  'controller/timeline-controller',
  'demux/audio/aacdemuxer',
  'demux/audio/ac3-demuxer',
  'demux/audio/mp3demuxer',
  'demux/transmuxer-worker',
  'demux/tsdemuxer',
  'utils/cues',
].map((name) => join(SOURCE, `${name}.ts`));

const NOTHING = '\0left-out';
/** Stands where one of them was. As a demuxer it recognises nothing; what is called by name is listed, so that a build fails that would miss more. */
const NOTHING_SOURCE = `
  export default class Nothing { static probe() { return false; } }
  export { Nothing as AC3Demuxer, Nothing as IFrameController, Nothing as SubtitleStreamController, Nothing as TimelineController };
`;

/**
 * Builds hls.js from its source without what this site never plays: other containers than MP4,
 * encrypted media, subtitles, inserted advertisements. On a slow line that is seconds before the
 * first picture.
 */
export function leanHls() {
  return {
    name: 'cocuyo-lean-hls',
    enforce: 'pre',
    config: () => ({ define: Object.fromEntries(Object.entries(PARTS).map(([name, value]) => [name, String(value)])) }),
    async resolveId(name, importer) {
      if (name === 'hls.js') return join(SOURCE, 'exports-named.ts');
      if (!importer?.startsWith(SOURCE) || !name.startsWith('.')) return null;
      const path = `${join(dirname(importer), name)}.ts`;
      return LEFT_OUT.includes(path) ? NOTHING : null;
    },
    load: (id) => (id === NOTHING ? NOTHING_SOURCE : null),
  };
}
