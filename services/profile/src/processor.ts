import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import {
  absorbFacts,
  applyEvent,
  applyIdentity,
  decodeFacts,
  decodeFoldedEvent,
  encodeFacts,
  type Facts,
  ShopZone,
} from '#lib/facts/facts.ts';
import type { Context, Effects, Input, Processor, StageSpec } from '#lib/stream/processor.ts';
import { differingTraits, encodeChange, isTelling } from './core/change.ts';

/** Folds the events of a customer into one state, and tells when traits, identity or orders changed. */
export class ProfileProcessor implements Processor<Facts> {
  readonly #zone: ShopZone;

  constructor(zone: ShopZone) {
    this.#zone = zone;
  }

  process(state: Facts | undefined, input: Input, ctx: Context<undefined>, out: Effects): Facts | undefined {
    if (input.kind === RecordKind.RECORD_KIND_EVENT) {
      const event = decode(decodeFoldedEvent, input.body, out);
      if (event === undefined) return undefined;
      const { facts, changed } = applyEvent(state, event, ctx.now, this.#zone);
      if (isTelling(changed)) out.emit(RecordKind.RECORD_KIND_PROFILE, encodeChange(facts, changed.traits));
      return facts;
    }
    if (input.kind === RecordKind.RECORD_KIND_IDENTITY) {
      const change = decode(IdentityChange.decode, input.body, out);
      if (change === undefined) return undefined;
      const { facts, changed } = applyIdentity(state, change);
      if (isTelling(changed)) out.emit(RecordKind.RECORD_KIND_PROFILE, encodeChange(facts, changed.traits));
      return facts;
    }
    return undefined;
  }

  absorb(state: Facts | undefined, from: Facts, _fromId: string, _ctx: Context<undefined>, out: Effects): Facts {
    // Trait objects are changed in place: copy those of before.
    const before = state && { ...state, traits: state.traits.map((trait) => ({ ...trait })) };
    const facts = absorbFacts(state, from, this.#zone);
    out.emit(RecordKind.RECORD_KIND_PROFILE, encodeChange(facts, differingTraits(before, facts)));
    return facts;
  }
}

function decode<T>(read: (bytes: Uint8Array) => T, body: Uint8Array, out: Effects): T | undefined {
  try {
    return read(body);
  } catch (error) {
    out.deadLetter(`the body cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** @param timeZone IANA name of the shop's time zone */
export function profileStage(timeZone: string): StageSpec<Facts> {
  return {
    stage: 'profile',
    codec: { encode: encodeFacts, decode: decodeFacts },
    processor: new ProfileProcessor(new ShopZone(timeZone)),
  };
}
