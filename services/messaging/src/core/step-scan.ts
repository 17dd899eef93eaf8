import type { StepAction } from '#gen/recur/log/v1/changes.ts';
import { WireReader } from '#lib/wire/wire.ts';

/** Tag of recur.log.v1.Step.action. */
const ACTION = 0x28;

/**
 * Reads of an encoded recur.log.v1.Step, which lies between `from` and `to`, what was done and nothing else.
 * @throws RangeError when the bytes are no step
 */
export function stepActionOf(bytes: Uint8Array, from: number, to: number): StepAction {
  const r = new WireReader(bytes, from, to);
  let action = 0;
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === ACTION) action = r.varint();
    else r.skip(tag);
  }
  return action as StepAction;
}
