import { mount } from 'svelte';
import type { Listing, Video } from './api.js';
import { boot, region } from './boot.js';
import './locale.js';
import Studio from './studio/Studio.svelte';

mount(Studio, { target: region('studio'), props: boot<Listing<Video> & { keeps_queue: boolean }>() });
