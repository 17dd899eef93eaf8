import { type TraitType, TraitValueType } from '#gen/recur/profile/v1/trait_type.ts';

/** Kind of the definitions that declare traits: profile keeps them, ingest follows them. */
export const TRAIT_TYPE_KIND = 'trait_type';

const MAX_TEXT = 1_000;
const MAX_ENTRIES = 100;

/** What is wrong with a value of a declared trait, as a rule for whoever sent it; undefined: nothing. */
export type TraitRule = (value: unknown) => string | undefined;

export function traitRule({ type, allowed }: Pick<TraitType, 'type' | 'allowed'>): TraitRule {
  const fits = TYPES[type];
  if (fits === undefined) return () => undefined;
  const listed = new Set(allowed);
  const names = allowed.slice(0, 10).map((value) => JSON.stringify(value));
  const oneOf = `must be one of ${names.join(', ')}${allowed.length > 10 ? ' …' : ''}`;
  return (value) => {
    if (!fits.test(value)) return fits.rule;
    if (listed.size === 0) return undefined;
    const entries = Array.isArray(value) ? value : [value];
    return entries.every((entry) => listed.has(entry)) ? undefined : oneOf;
  };
}

interface Fits {
  readonly rule: string;
  test(value: unknown): boolean;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_TEXT;
const DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** A day that does not exist is carried over by Date: then it reads differently. */
function isDate(value: unknown): boolean {
  if (typeof value !== 'string' || !DATE.test(value)) return false;
  const day = value.slice(0, 10);
  const ms = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day) && !Number.isNaN(Date.parse(value));
}

const TYPES: Readonly<Partial<Record<TraitValueType, Fits>>> = {
  [TraitValueType.TRAIT_VALUE_TYPE_STRING]: { rule: `must be text of at most ${MAX_TEXT} characters`, test: isText },
  [TraitValueType.TRAIT_VALUE_TYPE_NUMBER]: { rule: 'must be a number', test: Number.isFinite },
  [TraitValueType.TRAIT_VALUE_TYPE_BOOLEAN]: {
    rule: 'must be true or false',
    test: (value) => typeof value === 'boolean',
  },
  [TraitValueType.TRAIT_VALUE_TYPE_DATE]: {
    rule: 'must be a day such as 2026-05-31, or a moment in ISO 8601',
    test: isDate,
  },
  [TraitValueType.TRAIT_VALUE_TYPE_STRING_LIST]: {
    rule: `must be a list of at most ${MAX_ENTRIES} texts`,
    test: (value) => Array.isArray(value) && value.length <= MAX_ENTRIES && value.every(isText),
  },
};

/** The declarations in force, by name of the trait. */
export class TraitTypes {
  readonly #byId = new Map<string, { readonly name: string; readonly revision: number; readonly rule: TraitRule }>();
  readonly #byName = new Map<string, TraitRule>();

  get empty(): boolean {
    return this.#byName.size === 0;
  }

  /** What is wrong with a value of this trait; undefined: nothing, or it is not declared. */
  fault(name: string, value: unknown): string | undefined {
    return this.#byName.get(name)?.(value);
  }

  /** A declaration was made, changed or (undefined) deleted. */
  apply(id: string, revision: number, declared: TraitType | undefined): void {
    const known = this.#byId.get(id);
    if (known !== undefined && known.revision > revision) return;
    if (known !== undefined) this.#byName.delete(known.name);
    if (declared === undefined) this.#byId.delete(id);
    else {
      const rule = traitRule(declared);
      this.#byId.set(id, { name: declared.name, revision, rule });
      this.#byName.set(declared.name, rule);
    }
  }
}
