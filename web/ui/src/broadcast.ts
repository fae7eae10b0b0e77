import { mount } from 'svelte';
import { boot, region } from './boot.js';
import { offerCopies } from './broadcast/copy.js';
import Health from './broadcast/Health.svelte';
import { localTimes } from './broadcast/times.js';
import { locale } from './locale.js';

localTimes(document, locale);
offerCopies(document);
if (document.getElementById('health')) {
  mount(Health, { target: region('health'), props: { id: boot<{ id: string }>().id } });
}
