import { type IdentifierType, Joining, Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';

const { NORMALISATION_TRIM: TRIM, NORMALISATION_EMAIL, NORMALISATION_PHONE } = Normalisation;
const { JOINING_ANYBODY, JOINING_GUESTS } = Joining;

const type = (id: string, priority: number, limit: number, rest: Partial<IdentifierType> = {}): IdentifierType => ({
  id,
  revision: 0,
  updateTimeMs: 0,
  description: '',
  family: false,
  normalisation: TRIM,
  limit,
  priority,
  exclusive: false,
  identifies: true,
  joins: JOINING_ANYBODY,
  blockedValues: [],
  blockedPatterns: [],
  sharedAfter: 0,
  ...rest,
});

/** A thing, not a person: it brings along a guest's past and joins nobody else. */
const thing = { identifies: false, joins: JOINING_GUESTS, sharedAfter: 5 } as const;

/**
 * Types that come along. Limits are what keeps one shared device or one careless "test@test" from drawing strangers together: a
 * link or merge that would break one is not made.
 */
export const BUILT_IN_TYPES: readonly IdentifierType[] = [
  type('user_id', 100, 1, { exclusive: true, description: 'Account of the shop itself' }),
  type('member_no', 95, 1, { exclusive: true, description: 'Number of the loyalty programme' }),
  type('unionid', 90, 1, { exclusive: true, description: 'WeChat: one person across the apps of a company' }),
  type('shop_account', 80, 10, { family: true, description: 'Account at a marketplace: shop_account_tmall …' }),
  type('phone', 70, 5, { normalisation: NORMALISATION_PHONE, description: 'Number or its SHA-256' }),
  type('email', 60, 5, { normalisation: NORMALISATION_EMAIL, description: 'E-mail address' }),
  type('openid', 50, 20, { family: true, description: 'WeChat: one person within one app: openid_wx123 …' }),
  type('device_id', 20, 50, { ...thing, family: true, description: 'Device of an app' }),
  type('anonymous_id', 10, 200, { ...thing, description: 'Browser' }),
];

/** Of a type nobody defined. */
export const OTHER_TYPE: IdentifierType = type('', 40, 20, { description: 'Any other type' });

/** Which type rules an identifier: defined ones before those that come along, the type itself before its family. */
export class IdentifierTypes {
  readonly #types = new Map<string, IdentifierType>();
  readonly #known = new Map<string, IdentifierType>();

  constructor(defined: Iterable<IdentifierType> = []) {
    for (const t of BUILT_IN_TYPES) this.#types.set(t.id, t);
    for (const t of defined) this.#types.set(t.id, t);
  }

  get(id: string): IdentifierType | undefined {
    return this.#types.get(id);
  }

  /** By id, ascending. */
  list(): IdentifierType[] {
    return [...this.#types.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  of(name: string): IdentifierType {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#types.get(name) ?? this.#family(name) ?? OTHER_TYPE;
    // Names come from senders: start over rather than grow without end.
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(name, found);
    return found;
  }

  /** The longest family whose name it begins with. */
  #family(name: string): IdentifierType | undefined {
    for (let at = name.lastIndexOf('_'); at > 0; at = name.lastIndexOf('_', at - 1)) {
      const family = this.#types.get(name.slice(0, at));
      if (family?.family) return family;
    }
    return undefined;
  }
}

const MAX_KNOWN = 1_000;

/** Kind of the definitions of identifier types. */
export const IDENTIFIER_TYPE_KIND = 'identifier_type';
