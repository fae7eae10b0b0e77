/** The value of a form's date and time for a moment, on a clock that is so many minutes behind UTC. */
export function formValue(ms: number, behindMinutes: number): string {
  return new Date(ms - behindMinutes * 60_000).toISOString().slice(0, 16);
}

/** Shows and takes moments by the reader's own clock; the server wrote them in UTC. */
export function localTimes(page: Document, locale: string): void {
  for (const time of page.querySelectorAll<HTMLTimeElement>('time[datetime]')) {
    const at = Date.parse(time.dateTime);
    if (Number.isFinite(at)) {
      time.textContent = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(at);
    }
  }
  for (const input of page.querySelectorAll<HTMLInputElement>('input[name="starts"]')) {
    const zone = input.form?.querySelector<HTMLInputElement>('input[name="zone"]');
    if (!zone) continue;
    const at = Date.parse(`${input.value}Z`);
    if (Number.isFinite(at)) input.value = formValue(at, new Date(at).getTimezoneOffset());
    // Summer time may begin in between: what counts is the clock of that day.
    const tell = () => (zone.value = input.value ? String(new Date(input.value).getTimezoneOffset()) : '');
    tell();
    input.addEventListener('input', tell);
  }
}
