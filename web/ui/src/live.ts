import { mount } from 'svelte';
import type { Event, Playback } from './api.js';
import { boot, region } from './boot.js';
import Live from './live/Live.svelte';
import './locale.js';

interface Boot {
  event: Event;
  playback: Playback | null;
  saver: boolean;
  now: number;
}

// On a slow line somebody may have pressed play before this script was there: they keep what plays.
const plain = document.querySelector<HTMLVideoElement>('#live video');
if (!plain || plain.paused) mount(Live, { target: region('live'), props: boot<Boot>() });
