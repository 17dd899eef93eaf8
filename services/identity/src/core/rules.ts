/** What an identifier of a type may do. */
export interface IdentifierRule {
  /** Stronger identifiers decide first whose event it is. */
  readonly priority: number;
  /** How many of this type one customer may have. 1 also keeps two customers who each have one from being merged. */
  readonly limit: number;
  /** Outlives a browser or device: whoever has one is identified, not a guest. */
  readonly identifies: boolean;
}

/**
 * The rules, as data. Limits are what keeps one shared device or one careless "test@test" from drawing strangers together: a
 * link or merge that would break one is not made.
 */
export const IDENTIFIER_RULES: Readonly<Record<string, IdentifierRule>> = {
  user_id: { priority: 100, limit: 1, identifies: true },
  member_no: { priority: 95, limit: 1, identifies: true },
  unionid: { priority: 90, limit: 1, identifies: true },
  shop_account: { priority: 80, limit: 10, identifies: true },
  phone: { priority: 70, limit: 5, identifies: true },
  email: { priority: 60, limit: 5, identifies: true },
  openid: { priority: 50, limit: 20, identifies: true },
  device_id: { priority: 20, limit: 50, identifies: false },
  anonymous_id: { priority: 10, limit: 200, identifies: false },
};

const OTHER: IdentifierRule = { priority: 40, limit: 20, identifies: true };

/** Types a shop invents (and shop accounts per platform, `shop_account_tmall`) get the rule of their family, or a middling one. */
export function ruleOf(type: string): IdentifierRule {
  const known = IDENTIFIER_RULES[type];
  if (known) return known;
  for (const family of ['shop_account', 'openid', 'device_id']) {
    if (type.startsWith(`${family}_`)) return IDENTIFIER_RULES[family] as IdentifierRule;
  }
  return OTHER;
}
