import { pinyin } from 'pinyin-pro';
import { type FieldSpec, fieldsOfColumn } from '../fields.ts';
import { damage, replace, swap } from './errors.ts';
import { chinese, Dice, english, type World } from './people.ts';

/** People invented, and copies of them with errors, the truth known: what Febrl does for English, and for Chinese. */
export interface InventedOptions {
  readonly language: 'en' | 'zh';
  readonly seed: number;
  readonly originals: number;
  readonly duplicates: number;
  /** Copies of one person at most; 1: every copy is of another. */
  readonly most: number;
  /** Errors per copy, 1 to this. */
  readonly errors: number;
  /** Share of people who live with somebody before them in the list: same address and phone, mostly the same surname. */
  readonly families: number;
  /** Share of copies of somebody who moved: all of the address is another. */
  readonly moved: number;
}

export interface Invented {
  readonly specs: readonly FieldSpec[];
  readonly rows: readonly (readonly string[])[];
  /** Per row who it is. */
  readonly truth: readonly number[];
}

export function inventPeople(options: InventedOptions): Invented {
  const dice = new Dice(options.seed);
  const world = options.language === 'en' ? english : chinese;
  const specs = world.columns.flatMap(fieldsOfColumn);
  const people: string[][] = [];
  for (let i = 0; i < options.originals; i++) {
    const person = world.person(dice);
    const relative = i > 0 && dice.chance(options.families) ? people[dice.below(i)] : undefined;
    people.push(relative ? world.relative(dice, person, relative) : person);
  }
  const rows = people.map((p) => p.map((value) => (dice.chance(0.03) ? '' : value)));
  const truth = people.map((_, i) => i);
  const copies = new Map<number, number>();
  while (rows.length < options.originals + options.duplicates) {
    // Few have many copies.
    const who = Math.floor(options.originals * dice.next() ** (options.most > 1 ? 1.6 : 1));
    const n = copies.get(who) ?? 0;
    if (n >= options.most) continue;
    copies.set(who, n + 1);
    const copy = [...(rows[who] as string[])];
    if (dice.chance(options.moved)) {
      const elsewhere = world.person(dice);
      for (const f of world.address) copy[f] = elsewhere[f] as string;
    }
    const errors = 1 + dice.below(options.errors);
    for (let e = 0; e < errors; e++) spoil(copy, dice, world);
    rows.push(copy);
    truth.push(who);
  }
  const order = dice.shuffled(rows.length);
  const columns = specs.map((s) => world.columns.indexOf(s.column));
  return {
    specs,
    rows: order.map((i) => columns.map((f) => rows[i]?.[f] as string)),
    truth: order.map((i) => truth[i] as number),
  };
}

function spoil(copy: string[], dice: Dice, world: World): void {
  const f = dice.below(copy.length);
  const value = copy[f] as string;
  const kind = dice.next();
  const [, mark] = exchanged(world, f);
  const other = world.columns.findIndex((_, g) => g !== f && mark !== undefined && exchanged(world, g)[1] === mark);
  if (kind < 0.1 && other >= 0) swap(copy, f, other);
  else if (kind < 0.2) copy[f] = '';
  else if (kind < 0.3) copy[f] = replace(dice, world, f);
  else copy[f] = damage(dice, value, (char) => soundalike(dice, char, world.characters));
}

function exchanged(world: World, f: number) {
  const [spec, part] = fieldsOfColumn(world.columns[f] as string);
  return [spec, part === undefined ? spec?.exchange : undefined] as const;
}

const groups = new Map<string, string[]>();

/** A Chinese character that is typed the same way, when there is one in use. */
function soundalike(dice: Dice, char: string, characters: string): string {
  if (groups.size === 0) {
    for (const c of new Set(characters)) {
      const sound = pinyin(c, { toneType: 'none' });
      groups.set(sound, [...(groups.get(sound) ?? []), c]);
    }
  }
  return dice.pick(groups.get(pinyin(char, { toneType: 'none' })) ?? [char]);
}
