import type { Departed } from '#gen/recur/log/v1/changes.ts';
import type { RestartOf } from './processor.ts';

/** Who departs, with a quick answer to whether a place in the log is theirs. */
export function departedOf({ customerId, places }: Departed): RestartOf['departed'][number] {
  const theirs = new Set<string>();
  for (let i = 0; i + 1 < places.length; i += 2) theirs.add(`${places[i]}/${places[i + 1]}`);
  return { customerId, has: (seq, index) => theirs.has(`${seq}/${index}`) };
}
