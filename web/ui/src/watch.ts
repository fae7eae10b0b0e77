import { mount } from 'svelte';
import type { Chapter, Playback } from './api.js';
import { boot, region } from './boot.js';
import './locale.js';
import Player from './player/Player.svelte';
import type { Quality, Sound } from './player/quality.js';

interface Watch {
  id: string;
  title: string;
  poster: string | null;
  qualities: Quality[];
  sound: Sound | null;
  mp4: string | null;
  saver: boolean;
  playback: Playback;
  is_ready: boolean;
  chapters: Chapter[];
}

// On a slow line somebody may have pressed play before this script was there: they keep what plays.
const plain = document.querySelector<HTMLVideoElement>('#player video');
if (!plain || plain.paused) {
  const { is_ready: isReady, ...film } = boot<Watch>();
  mount(Player, { target: region('player'), props: { ...film, isReady } });
}
