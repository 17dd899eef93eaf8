/** Chinese surnames of two characters; all others have one. */
const TWO = new Set([
  ...[
    '欧阳',
    '司马',
    '上官',
    '诸葛',
    '夏侯',
    '东方',
    '皇甫',
    '尉迟',
    '公孙',
    '慕容',
    '令狐',
    '宇文',
    '长孙',
    '司徒',
    '司空',
  ],
  ...[
    '轩辕',
    '端木',
    '百里',
    '呼延',
    '南宫',
    '西门',
    '独孤',
    '东郭',
    '申屠',
    '太史',
    '澹台',
    '濮阳',
    '淳于',
    '单于',
    '公羊',
  ],
]);
const HAN_ONLY = /^\p{Script=Han}+$/u;

export type NamePart = 'surname' | 'given';

/**
 * One part of a full name: families share the one, the other tells a person, so they are compared each for itself. Chinese
 * names begin with the surname; others end with it, unless a comma says otherwise. One word alone is a given name.
 */
export function partOfName(full: string, part: NamePart): string {
  const name = full.normalize('NFKC').trim();
  const [surname, given] = split(name);
  return part === 'surname' ? surname : given;
}

function split(name: string): readonly [surname: string, given: string] {
  const joined = name.replaceAll(/\s+/g, '');
  if (HAN_ONLY.test(joined)) {
    const length = joined.length > 2 && TWO.has(joined.slice(0, 2)) ? 2 : 1;
    return [joined.slice(0, length), joined.slice(length)];
  }
  const comma = name.indexOf(',');
  if (comma >= 0) return [name.slice(0, comma).trim(), name.slice(comma + 1).trim()];
  const space = name.lastIndexOf(' ');
  return space < 0 ? ['', name] : [name.slice(space + 1), name.slice(0, space).trim()];
}
