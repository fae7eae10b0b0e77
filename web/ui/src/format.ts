import { m } from './paraglide/messages.js';

/** `1 572 864` as `1.5 MB` or `1,5 MB`: decimal units, as networks sell them. */
export function bytes(size: number, locale: string): string {
  const [unit, divisor] =
    size >= 1e9 ? ['GB', 1e9] : size >= 1e6 ? ['MB', 1e6] : size >= 1e3 ? ['kB', 1e3] : ['B', 1];
  return `${decimal(size / (divisor as number), locale)} ${unit}`;
}

/** One digit behind the point below a hundred, none above. */
export function decimal(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: value < 100 ? 1 : 0 }).format(value);
}

/** A film's length as on a clock: `0:07`, `12:30`, `1:02:03`. */
export function clock(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(s / 60) % 60;
  const hours = Math.floor(s / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** Time left in words, rounded so that it doesn't flicker. */
export function timeLeft(seconds: number): string {
  if (seconds < 60) return m.time_seconds({ n: Math.max(5, Math.ceil(seconds / 5) * 5) });
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return m.time_minutes({ n: minutes });
  return m.time_hours({ h: Math.floor(minutes / 60), m: minutes % 60 });
}
