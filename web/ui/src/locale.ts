import { overwriteGetLocale, type Locale } from './paraglide/runtime.js';

/** The language that the server wrote this page in; scripts follow it. */
export const locale: Locale = document.documentElement.lang === 'en' ? 'en' : 'es';

overwriteGetLocale(() => locale);
