import type { NamePart } from './names.ts';

/**
 * How a field is compared.
 * - name, text: what people write: same, same sound (Chinese), one typing error, similar, different
 * - code: postcodes, phones, house numbers …: same, one typing error, different
 * - date: same, one typing error, two of year, month, day the same, different
 */
export type FieldKind = 'name' | 'text' | 'code' | 'date';

/**
 * Whom a field tells apart. Two people of one household share what is `household`, may share a `family` name, and differ
 * in what is `person`.
 */
export type FieldRole = 'person' | 'family' | 'household';

export interface FieldSpec {
  readonly name: string;
  /** Where its value comes from: several fields may be parts of one column. */
  readonly column: string;
  /** Of a full name only this. */
  readonly part?: NamePart;
  readonly kind: FieldKind;
  readonly role: FieldRole;
  /** Two fields with the same mark are sometimes filled in the wrong way round: given name and surname, two address lines. */
  readonly exchange?: string;
}

/** Of kinds, from the same to different. `different` is always the last. */
export const LEVELS: Readonly<Record<FieldKind, readonly string[]>> = {
  name: ['same', 'sounds the same', 'one typing error', 'similar', 'different'],
  text: ['same', 'sounds the same', 'one typing error', 'similar', 'different'],
  code: ['same', 'one typing error', 'different'],
  date: ['same', 'one typing error', 'two parts the same', 'different'],
};

/** Levels of "are these two fields filled the same way round". */
export const ORDER_LEVELS: readonly string[] = ['same order', 'exchanged'];

/** With this many comparisons a pattern still fits a double. */
export const MAX_COMPARISONS = 18;

type Known = Omit<FieldSpec, 'name' | 'column'>;
const FULL_NAME = /^(full_?|real_?)?name$|^(姓名|名字)$/i;
const KNOWN: readonly (readonly [RegExp, Known])[] = [
  [/^(given|first|fore)_?name$|^名$/i, { kind: 'name', role: 'person', exchange: 'name' }],
  [/^(sur|last|family)_?name$|^姓$/i, { kind: 'name', role: 'family', exchange: 'name' }],
  [/^(date_of_birth|birth_?da(y|te)|dob)$|^生日$|^出生日期$/i, { kind: 'date', role: 'person' }],
  [/^(e_?)?mail$|^邮箱$/i, { kind: 'text', role: 'person' }],
  [/^(gender|sex)$|^性别$/i, { kind: 'code', role: 'person' }],
  [
    /^((mobile|cell)_?)?phone(_?number)?$|^mobile$|^tel(ephone)?$|^电话$|^手机号?$/i,
    { kind: 'code', role: 'household' },
  ],
  [/^(street|house)_?(number|no)$|^门牌号?$/i, { kind: 'code', role: 'household' }],
  [/^address_?(line_?)?[12]$/i, { kind: 'text', role: 'household', exchange: 'address' }],
  [/^(street|address)$|^(详细)?地址$/i, { kind: 'text', role: 'household' }],
  [/^(suburb|city|town|district|county)$|^(城市|区县?)$/i, { kind: 'text', role: 'household' }],
  [/^(post_?code|zip(_?code)?|postal_?code)$|^邮编$/i, { kind: 'code', role: 'household' }],
  [/^(state|province|region)$|^省份?$/i, { kind: 'text', role: 'household' }],
];

/** The fields in a column, by its name; none when the name says nothing. */
export function fieldsOfColumn(column: string): FieldSpec[] {
  const name = column.trim().replaceAll(/[\s-]+/g, '_');
  if (FULL_NAME.test(name)) {
    const parts = { column, kind: 'name', exchange: `${column} parts` } as const;
    return [
      { ...parts, name: `${column} (given)`, role: 'person', part: 'given' },
      { ...parts, name: `${column} (surname)`, role: 'family', part: 'surname' },
    ];
  }
  const found = KNOWN.find(([pattern]) => pattern.test(name));
  return found ? [{ name: column, column, ...found[1] }] : [];
}
