/** The data that the server wrote into the page, so that nothing is fetched before it shows. */
export function boot<T>(): T {
  const element = document.getElementById('boot');
  if (!element?.textContent) throw new Error('the page has no boot data');
  return JSON.parse(element.textContent) as T;
}

/** The region that an island takes over, emptied of what the server rendered for readers without scripts. */
export function region(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no region ${id}`);
  element.replaceChildren();
  return element;
}
