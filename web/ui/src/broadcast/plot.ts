/** What was measured, oldest first; `null` where nothing came in. */
export type Series = (number | null)[];

/** Two minutes at one measurement in two seconds. */
export const KEPT = 60;

/** `series` with one more at its end. */
export function pushed(series: Series, value: number | null): Series {
  return [...series, value].slice(-KEPT);
}

/** The greatest value of an axis that fits `series`, a round number. */
export function ceiling(series: Series, least: number): number {
  const greatest = Math.max(least, ...series.map((value) => value ?? 0));
  const step = 10 ** Math.floor(Math.log10(greatest));
  const round = [1, 2, 5, 10].map((n) => n * step).find((n) => n >= greatest);
  return round ?? greatest;
}

/** The lines of a plot of this size in SVG's words, broken where nothing came in; the newest is right. */
export function lines(series: Series, top: number, width: number, height: number): string[] {
  const found: string[][] = [[]];
  series.forEach((value, i) => {
    if (value === null) return void found.push([]);
    const x = width - ((series.length - 1 - i) * width) / (KEPT - 1);
    const y = height - (Math.min(Math.max(value, 0), top) / top) * height;
    found[found.length - 1]?.push(`${x.toFixed(1)},${y.toFixed(1)}`);
  });
  return found.filter((points) => points.length > 0).map((points) => points.join(' '));
}
