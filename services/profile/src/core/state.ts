import { Computed, type TagState, type TraitState } from '#gen/recur/profile/v1/state.ts';
import { decodeFacts, encodeFacts, type Facts, newFacts } from '#lib/facts/facts.ts';
import { packFacts, unpackFacts } from '#lib/facts/packed.ts';
import { PackReader, PackWriter, UnpackableError } from '#lib/wire/pack.ts';
import { decodeKept, encodeKept } from './computed/codec.ts';
import type { CompiledTrait } from './computed/compile.ts';
import { NEVER } from './computed/figure.ts';
import { type Kept, nothingKept } from './computed/kept.ts';
import { packComputed, unpackComputed } from './computed/packed.ts';

/** What is kept for one computed trait: as stored until somebody needs it, who has the definition to read it with. */
interface TraitSlot {
  stored: TraitState | undefined;
  opened: { readonly trait: CompiledTrait; readonly kept: Kept } | undefined;
}

/** What profile keeps beyond the facts: computed traits by basis, tags, and when time alone may change one. */
export class ComputedState {
  readonly tags: TagState[];
  nextMs: number;
  /** Bases of traits not complete yet of which this customer has all, after a merge was taken back. */
  readonly whole: Set<number>;
  readonly #traits = new Map<number, TraitSlot>();

  constructor({ traits, tags, nextMs, whole }: Computed = { traits: [], tags: [], nextMs: 0, whole: [] }) {
    for (const stored of traits) this.#traits.set(stored.basis, { stored, opened: undefined });
    this.tags = tags;
    this.whole = new Set(whole);
    this.nextMs = nextMs === 0 ? NEVER : nextMs;
  }

  /** What is kept for a trait, to be read or changed; undefined: nothing. */
  find(trait: CompiledTrait): Kept | undefined {
    const slot = this.#traits.get(trait.basis);
    if (slot === undefined) return undefined;
    slot.opened ??= { trait, kept: slot.stored ? decodeKept(trait.aggregation, slot.stored) : nothingKept() };
    return slot.opened.kept;
  }

  keep(trait: CompiledTrait): Kept {
    const known = this.find(trait);
    if (known !== undefined) return known;
    const opened = { trait, kept: nothingKept() };
    this.#traits.set(trait.basis, { stored: undefined, opened });
    return opened.kept;
  }

  get bases(): IterableIterator<number> {
    return this.#traits.keys();
  }

  drop(basis: number): boolean {
    return this.#traits.delete(basis);
  }

  /** Takes over what another customer has of a trait that this partition does not know yet. */
  adopt(basis: number, from: ComputedState): void {
    const slot = from.#traits.get(basis);
    if (slot !== undefined && !this.#traits.has(basis)) this.#traits.set(basis, { ...slot });
  }

  toProto(): Computed {
    const traits: TraitState[] = [];
    for (const [basis, { stored, opened }] of this.#traits) {
      if (opened !== undefined) traits.push(encodeKept(basis, opened.trait.aggregation, opened.kept));
      else if (stored !== undefined) traits.push(stored);
    }
    return { traits, tags: this.tags, nextMs: this.nextMs === NEVER ? 0 : this.nextMs, whole: [...this.whole] };
  }
}

const NOTHING = Buffer.alloc(0);
/** Field 16, length-delimited: stands before the facts, whose fields come after. */
const MARK = Buffer.of(0x82, 0x01);

/** State of one customer. What is computed is read when it is needed, and else passed on as the bytes it is. */
export class ProfileState {
  facts: Facts;
  readonly #bytes: Buffer;
  #computed: ComputedState | undefined;

  constructor(facts: Facts = newFacts(), computed: Buffer | ComputedState = NOTHING) {
    this.facts = facts;
    if (computed instanceof ComputedState) {
      this.#bytes = NOTHING;
      this.#computed = computed;
    } else this.#bytes = computed;
  }

  /** Undefined when nothing is computed of this customer. */
  get computed(): ComputedState | undefined {
    if (this.#computed === undefined && this.#bytes.length > 0) {
      this.#computed = new ComputedState(Computed.decode(this.#bytes));
    }
    return this.#computed;
  }

  compute(): ComputedState {
    const known = this.computed;
    if (known !== undefined) return known;
    this.#computed = new ComputedState();
    return this.#computed;
  }

  get computedBytes(): Buffer {
    return this.#computed === undefined ? this.#bytes : Buffer.from(Computed.encode(this.#computed.toProto()).finish());
  }
}

/**
 * The first byte of a packed state: no protobuf begins with it. Then a byte that says whether something is computed, the facts, and
 * what is computed.
 */
const PACKED = 0x07;

// Packing never yields, so one writer serves the thread.
const packer = new PackWriter();

export const stateCodec = {
  /** As it goes over the log, and was stored up to 0.2. */
  encode(state: ProfileState): Uint8Array {
    const facts = encodeFacts(state.facts);
    const computed = state.computedBytes;
    return computed.length === 0 ? facts : Buffer.concat([MARK, varint(computed.length), computed, facts]);
  },
  /** As it is stored: a quarter of the bytes. */
  pack(state: ProfileState): Uint8Array {
    const { computed, facts } = state;
    try {
      packer.begin(PACKED);
      packer.byte(computed === undefined ? 0 : 1);
      packFacts(packer, facts);
      if (computed !== undefined) packComputed(packer, computed.toProto(), facts.orders?.recent ?? []);
      return packer.finish();
    } catch (error) {
      if (error instanceof UnpackableError) return this.encode(state);
      throw error;
    }
  },
  /** Reads both. */
  decode(bytes: Uint8Array): ProfileState {
    if (bytes[0] === PACKED) return unpack(bytes);
    if (bytes[0] !== MARK[0] || bytes[1] !== MARK[1]) return new ProfileState(decodeFacts(bytes));
    let at = MARK.length;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    // A copy: the bytes belong to whoever read them.
    const computed = Buffer.from(bytes.subarray(at, at + length));
    return new ProfileState(decodeFacts(bytes.subarray(at + length)), computed);
  },
};

function unpack(bytes: Uint8Array): ProfileState {
  const r = new PackReader(bytes);
  r.byte();
  const isComputed = r.byte() !== 0;
  const facts = unpackFacts(r);
  const computed = isComputed ? new ComputedState(unpackComputed(r, facts.orders?.recent ?? [])) : undefined;
  if (!r.done) throw new RangeError('packed: more than a state');
  return new ProfileState(facts, computed);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
