const MAX_DURATION_DAYS = 400;
export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
const MAX_DURATION_MS = MAX_DURATION_DAYS * DAY_MS;

const ISO = /^P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,10})S)?)?$/;
const MILLISECONDS = /^\d{1,12}$/;

/** Milliseconds of "P3D", "PT2H30M" or "1500"; a message for the author when it is none of these or out of bounds. */
export function parseDuration(text: string): number | string {
  const ms = MILLISECONDS.test(text) ? Number(text) : isoMilliseconds(text);
  if (ms === undefined) {
    return `"${text.slice(0, 40)}" is no duration: use weeks to seconds as in "P3D" or "PT2H30M" (no months or years), or milliseconds`;
  }
  if (ms <= 0) return 'must be longer than 0';
  if (ms > MAX_DURATION_MS) return `must be at most ${MAX_DURATION_DAYS} days`;
  return ms;
}

function isoMilliseconds(text: string): number | undefined {
  const parts = ISO.exec(text);
  if (parts === null || text.endsWith('T') || text === 'P') return undefined;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return (weeks * 7 + days) * DAY_MS + hours * 3_600_000 + minutes * 60_000 + seconds * 1_000;
}

const LOCAL_TIME = /^([01]\d|2[0-3]):([0-5]\d)$/;

/** Minutes since midnight of "10:00", or undefined. */
export function parseLocalTime(text: string): number | undefined {
  const parts = LOCAL_TIME.exec(text);
  return parts === null ? undefined : Number(parts[1]) * 60 + Number(parts[2]);
}
