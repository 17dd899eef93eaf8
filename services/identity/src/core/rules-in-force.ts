import { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import { LaneRules } from '#gen/recur/identity/v1/state.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';

interface Rule {
  readonly id: string;
  readonly revision: number;
  /** Empty: deleted. */
  readonly body: Uint8Array;
}

/** The identifier types in force at this point of the lane. */
export class RulesInForce {
  #rules = new Map<string, Rule>();
  types = new IdentifierTypes();

  load(bytes: Uint8Array): void {
    this.#rules = new Map(LaneRules.decode(bytes).rules.map((r) => [r.id, r]));
    this.#compile();
  }

  /** Of a type, 0 when it was never changed. */
  revisionOf(id: string): number {
    return this.#rules.get(id)?.revision ?? 0;
  }

  /** Puts a revision in force. Returns false when it, or a later one, already is. */
  define(rule: Rule): boolean {
    if (this.revisionOf(rule.id) >= rule.revision) return false;
    this.#rules.set(rule.id, { ...rule, body: Uint8Array.from(rule.body) });
    this.#compile();
    return true;
  }

  encode(): Buffer {
    const rules = [...this.#rules.values()].map((r) => ({ ...r, body: Buffer.from(r.body) }));
    return Buffer.from(LaneRules.encode({ rules }).finish());
  }

  #compile(): void {
    const live = [...this.#rules.values()].filter((r) => r.body.length > 0);
    this.types = new IdentifierTypes(live.map((r) => ({ ...IdentifierType.decode(r.body), id: r.id })));
  }
}
