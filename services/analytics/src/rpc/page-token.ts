/** Where a page of the timeline ended: the event's time and place in the log. */
export interface TimelinePlace {
  readonly timeMs: number;
  readonly seq: number;
  readonly index: number;
}

export function encodePlace({ timeMs, seq, index }: TimelinePlace): string {
  return Buffer.from(`${timeMs}.${seq}.${index}`).toString('base64url');
}

/** Undefined when the token is not one of ours. */
export function decodePlace(token: string): TimelinePlace | undefined {
  const found =
    token.length > 128
      ? null
      : /^(\d{1,16})\.(\d{1,16})\.(\d{1,10})$/.exec(Buffer.from(token, 'base64url').toString('latin1'));
  if (!found) return undefined;
  const [timeMs, seq, index] = found.slice(1).map(Number) as [number, number, number];
  return [timeMs, seq].every(Number.isSafeInteger) ? { timeMs, seq, index } : undefined;
}
