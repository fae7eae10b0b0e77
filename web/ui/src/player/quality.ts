/** What a viewer may choose: let the player decide, a rendition by name, the data saver, or sound alone. */
export type Choice = 'auto' | 'saver' | 'audio' | (string & {});

/** A picture rendition with the sound that goes with it. */
export interface Quality {
  name: string;
  /** Short side in pixels. */
  height: number;
  mb_per_minute: number;
  /** Whether all of it is there; else it is still being made. */
  whole: boolean;
}

/** The sound-only rendition. */
export interface Sound {
  name: string;
  mb_per_minute: number;
}

/** The greatest height that plays while it is being made: it goes ahead of the others. */
export const FIRST_HEIGHT = 360;

/** Whether a picture can be had now: the upper ones are offered when all of them is there. */
export function isOffered(quality: Quality): boolean {
  return quality.whole || quality.height <= FIRST_HEIGHT;
}

/** The saver never goes above this many lines. */
export const SAVER_HEIGHT = 240;

/** The best picture that the saver allows; the smallest there is when all are above. */
export function saverQuality(qualities: Quality[]): Quality | undefined {
  const byHeight = [...qualities].sort((a, b) => a.height - b.height);
  return byHeight.filter((quality) => quality.height <= SAVER_HEIGHT).pop() ?? byHeight[0];
}

/** `qualities` with what is new about them in a video's view, which may name more than these. */
export function renewed(qualities: Quality[], renditions: Pick<Quality, 'name' | 'whole' | 'mb_per_minute'>[]): Quality[] {
  return qualities.map((quality) => {
    const now = renditions.find(({ name }) => name === quality.name);
    return now ? { ...quality, whole: now.whole, mb_per_minute: now.mb_per_minute } : quality;
  });
}

/** Which level of the playlist shows the rendition `name`; levels are recognised by their URLs. */
export function levelOf(name: string, levelUrls: string[]): number {
  return levelUrls.findIndex((url) => url.includes(`/${name}/`));
}

/** What a minute of `choice` costs at most, in MB. */
export function costOf(choice: Choice, qualities: Quality[], sound: Sound | null): number | undefined {
  if (choice === 'audio') return sound?.mb_per_minute;
  if (choice === 'saver') return saverQuality(qualities)?.mb_per_minute;
  if (choice === 'auto') return qualities.length ? Math.max(...qualities.map((q) => q.mb_per_minute)) : undefined;
  return qualities.find((quality) => quality.name === choice)?.mb_per_minute;
}
