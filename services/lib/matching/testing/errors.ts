import type { Dice, World } from './people.ts';

/** One typing error, of the kinds people make. */
export function damage(dice: Dice, value: string, soundalike: (char: string) => string): string {
  if (value === '') return value;
  const chars = [...value];
  const at = dice.below(chars.length);
  const char = chars[at] as string;
  const digit = /\d/.test(char);
  const any = digit ? '0123456789' : 'abcdefghijklmnopqrstuvwxyz';
  if (/\p{Script=Han}/u.test(char)) {
    if (dice.chance(0.7)) chars[at] = soundalike(char);
    else chars.splice(at, 1);
    return chars.join('');
  }
  const kind = dice.next();
  if (kind < 0.35) chars[at] = dice.pick([...any]);
  else if (kind < 0.5) chars.splice(at, 1);
  else if (kind < 0.65) chars.splice(at, 0, dice.pick([...any]));
  else if (kind < 0.85 && at + 1 < chars.length) chars.splice(at, 2, chars[at + 1] as string, char);
  else if (value.includes(' ')) return value.replace(' ', '');
  else chars.splice(at, 0, digit ? dice.pick([...any]) : ' ');
  return chars.join('');
}

/** The value of somebody else. */
export function replace(dice: Dice, world: World, field: number): string {
  return world.person(dice)[field] as string;
}

export function swap(row: string[], f: number, g: number): void {
  [row[f], row[g]] = [row[g] as string, row[f] as string];
}
