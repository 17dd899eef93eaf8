import { pinyin } from 'pinyin-pro';
import type { FieldSpec } from './fields.ts';
import { partOfName } from './names.ts';

const HAN = /\p{Script=Han}/u;

/** What stands for nothing in columns people fill. */
const EMPTY = new Set(['null', 'none', 'nan', 'n/a', 'na', 'unknown', '-', '无', '未知']);

/** Longer texts are cut. */
const MAX = 200;

/** The one form values of a field are compared in; '' when there is none. */
export function normalise({ kind, part }: Pick<FieldSpec, 'kind' | 'part'>, raw: string): string {
  const text = raw.slice(0, MAX).normalize('NFKC').trim().toLowerCase();
  if (text === '' || EMPTY.has(text)) return '';
  if (kind === 'date') return digitsOfDate(text);
  return squash(part === undefined ? text : partOfName(text, part));
}

/** Without spaces and signs: a word broken in two, or two run together, are the commonest typing errors there are. */
function squash(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}@]+/gu, '');
}

/** yyyymmdd of 1990-01-31, 1990/1/31, 19900131, 1990年1月31日. What is no date stays as its digits: errors are in there, too. */
function digitsOfDate(text: string): string {
  const parts = text.split(/[^0-9]+/).filter((p) => p !== '');
  const [y = '', m = '', d = ''] = parts;
  if (y.length === 4 && parts.length >= 3) return y + m.padStart(2, '0') + d.padStart(2, '0');
  return parts.join('');
}

/** How Chinese text is pronounced, tones left out: input methods offer what sounds alike. '' for text without Chinese. */
export function soundOf(text: string): string {
  return HAN.test(text) ? pinyin(text, { toneType: 'none', type: 'array' }).join('') : '';
}
