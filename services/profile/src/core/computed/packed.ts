import type { Order } from '#gen/recur/facts/v1/facts.ts';
import type { Computed, TagState, TraitState } from '#gen/recur/profile/v1/state.ts';
import type { PackReader, PackWriter } from '#lib/wire/pack.ts';
import { kindOfJson, readJson, writeJson } from '#lib/wire/packed-json.ts';

/**
 * What is computed, packed behind the facts of the same customer. Windows over the same events keep the same days at their ends,
 * and traits of orders the same orders: what a trait has in common with one before it, at the end, is only named. No definition is
 * needed for that.
 */
export function packComputed(w: PackWriter, computed: Computed, orders: readonly Order[]): void {
  w.moment(computed.nextMs);
  w.varint(computed.whole.length);
  for (const basis of computed.whole) w.varint(basis);
  w.varint(computed.tags.length);
  for (const { tagId, value, sinceMs } of computed.tags) {
    const kind = kindOfJson(value);
    w.byte(kind);
    w.text(tagId);
    w.moment(sinceMs);
    writeJson(w, kind, value);
  }
  w.varint(computed.traits.length);
  let basis = 0;
  computed.traits.forEach((trait, i) => {
    packTrait(w, computed.traits, i, basis, orders);
    basis = trait.basis;
  });
}

export function unpackComputed(r: PackReader, orders: readonly Order[]): Computed {
  const nextMs = r.moment();
  const whole: number[] = [];
  for (let n = r.count(); n > 0; n--) whole.push(r.varint());
  const tags: TagState[] = [];
  for (let n = r.count(); n > 0; n--) {
    const kind = r.byte();
    const tagId = r.text();
    const sinceMs = r.moment();
    tags.push({ tagId, value: readJson(r, kind), sinceMs });
  }
  const traits: TraitState[] = [];
  for (let n = r.count(); n > 0; n--) traits.push(unpackTrait(r, traits, orders));
  return { traits, tags, nextMs, whole };
}

/** How a trait is like one before it: not at all, at the end, or altogether; and whether it has texts. */
const ALONE = 0;
const SAME_END = 1;
const SAME = 2;
const TEXTS = 4;
/** Traits before it that are looked at. */
const NEAR = 16;
/** Fewer numbers in common than this are as soon written. */
const WORTH = 3;

function packTrait(
  w: PackWriter,
  traits: readonly TraitState[],
  at: number,
  basisBefore: number,
  orders: readonly Order[],
): void {
  const { basis, numbers, texts } = traits[at] as TraitState;
  let like = -1;
  let most = WORTH - 1;
  for (let i = at - 1; i >= Math.max(0, at - NEAR); i--) {
    const common = commonEnd((traits[i] as TraitState).numbers, numbers);
    if (common <= most) continue;
    most = common;
    like = i;
  }
  const other = traits[like];
  const ends = other === undefined ? 0 : commonEnd(other.texts, texts);
  const same =
    other !== undefined &&
    most === numbers.length &&
    most === other.numbers.length &&
    ends === texts.length &&
    ends === other.texts.length;
  const how = other === undefined ? ALONE : same ? SAME : SAME_END;
  w.zigzag(basis - basisBefore);
  // How far back, and how.
  w.varint((other === undefined ? 0 : at - like) * 8 + how + (!same && texts.length > 0 ? TEXTS : 0));
  if (same) return;
  const own = other === undefined ? numbers.length : numbers.length - most;
  w.varint(own);
  for (let i = 0; i < own; i++) w.number(numbers[i] as number);
  if (other !== undefined) w.varint(most);
  if (texts.length === 0) return;
  w.varint(texts.length - ends);
  for (let i = 0; i < texts.length - ends; i++) packText(w, texts[i] as string, orders);
  if (other !== undefined) w.varint(ends);
}

function unpackTrait(r: PackReader, before: readonly TraitState[], orders: readonly Order[]): TraitState {
  const basis = (before.at(-1)?.basis ?? 0) + r.zigzag();
  const code = r.varint();
  const how = code & 3;
  const other = how === ALONE ? undefined : before[before.length - Math.floor(code / 8)];
  if (how > SAME || (how !== ALONE && other === undefined)) throw new RangeError('packed: like no trait there is');
  if (other !== undefined && how === SAME) return { basis, numbers: [...other.numbers], texts: [...other.texts] };
  const numbers: number[] = [];
  for (let n = r.count(); n > 0; n--) numbers.push(r.number());
  if (other !== undefined) endOf(other.numbers, r.varint(), numbers);
  const texts: string[] = [];
  if ((code & TEXTS) !== 0) {
    for (let n = r.count(); n > 0; n--) texts.push(unpackText(r, orders));
    if (other !== undefined) endOf(other.texts, r.varint(), texts);
  }
  return { basis, numbers, texts };
}

function commonEnd<T>(a: readonly T[], b: readonly T[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[a.length - 1 - n] === b[b.length - 1 - n]) n++;
  return n;
}

function endOf<T>(from: readonly T[], length: number, into: T[]): void {
  if (length > from.length) throw new RangeError('packed: more in common than there is');
  for (let i = from.length - length; i < from.length; i++) into.push(from[i] as T);
}

/** A text is mostly the id of an order the facts know (its place, from the end, and one), or a JSON value (0, its kind, and it). */
function packText(w: PackWriter, text: string, orders: readonly Order[]): void {
  for (let i = orders.length - 1; i >= 0; i--) {
    if ((orders[i] as Order).orderId !== text) continue;
    w.varint(orders.length - i);
    return;
  }
  const kind = kindOfJson(text);
  w.byte(0);
  w.byte(kind);
  writeJson(w, kind, text);
}

function unpackText(r: PackReader, orders: readonly Order[]): string {
  const place = r.varint();
  if (place === 0) return readJson(r, r.byte());
  const order = orders[orders.length - place];
  if (order === undefined) throw new RangeError('packed: names an order that is not there');
  return order.orderId;
}
