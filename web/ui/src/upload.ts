import { mount } from 'svelte';
import { region } from './boot.js';
import './locale.js';
import Upload from './upload/Upload.svelte';

mount(Upload, { target: region('upload') });
