import { m } from '../paraglide/messages.js';

/** Puts a button that copies behind everything that is to be copied. */
export function offerCopies(page: Document): void {
  for (const text of page.querySelectorAll<HTMLElement>('[data-copy]')) {
    const button = page.createElement('button');
    button.type = 'button';
    button.className = 'button quiet copy';
    button.textContent = m.event_copy();
    button.addEventListener('click', () => void copy(text, button));
    (text.closest('pre') ?? text).after(button);
  }
}

async function copy(text: HTMLElement, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text.textContent ?? '');
    button.textContent = m.event_copied();
  } catch {
    // Without HTTPS there is no clipboard: marked, it is one key away.
    getSelection()?.selectAllChildren(text);
    return;
  }
  setTimeout(() => (button.textContent = m.event_copy()), 2000);
}
