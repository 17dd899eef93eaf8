import { hash, timingSafeEqual } from 'node:crypto';

/** Who is calling. */
export interface Principal {
  readonly name: string;
  /**
   * What it may call: `*` for everything, else the beginning of a full method name, such as `recur.profile.v1.` or
   * `recur.segmentation.v1.SegmentService/Get` (a `*` at the end changes nothing).
   */
  readonly scopes: readonly string[];
}

interface Entry {
  readonly digest: Buffer;
  readonly principal: Principal;
}

/** The API tokens of a cluster. Their SHA-256 stays in memory, and those that were used. */
export class ApiTokens {
  readonly #entries: readonly Entry[];
  /** Tokens that were good, at most as many as there are: hashing one was 4 % of what GetProfile costs. */
  readonly #used = new Map<string, Principal>();

  /** No token is good: every call but health is refused. */
  static readonly none: ApiTokens = new ApiTokens([]);

  constructor(entries: readonly (Principal & { readonly token: string })[]) {
    this.#entries = entries.map(({ token, name, scopes }) => ({
      digest: digestOf(token),
      principal: { name, scopes },
    }));
  }

  /** @param content JSON `{"<token>": {"name": "local", "scopes": ["*"]}}` */
  static parse(content: string): ApiTokens {
    let json: unknown;
    try {
      json = JSON.parse(content);
    } catch {
      throw new Error('the file must hold JSON');
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new Error('the file must hold a JSON object');
    return new ApiTokens(Object.entries(json).map(([token, entry], index) => parseEntry(token, entry, index + 1)));
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * Every token is compared, in constant time each, so that timing tells nothing about which ones exist; but one that was good
   * before is known at once.
   */
  authenticate(token: string): Principal | undefined {
    const known = this.#used.get(token);
    if (known !== undefined) return known;
    const digest = digestOf(token);
    let found: Principal | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry.principal;
    if (found !== undefined) this.#used.set(token, found);
    return found;
  }
}

/** @param method full name without the leading slash: `recur.profile.v1.ProfileService/GetProfile` */
export function mayCall(principal: Principal, method: string): boolean {
  return principal.scopes.some((scope) => method.startsWith(scope.endsWith('*') ? scope.slice(0, -1) : scope));
}

function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

function parseEntry(token: string, entry: unknown, number: number): Principal & { token: string } {
  const { name, scopes } = (entry ?? {}) as { name?: unknown; scopes?: unknown };
  const where = `token number ${number}`;
  if (!/^[\x21-\x7e]{8,512}$/.test(token))
    throw new Error(`${where} must be 8 to 512 printable characters without spaces`);
  if (typeof name !== 'string' || name === '') throw new Error(`${where} needs a "name"`);
  const good = (scope: unknown): scope is string =>
    typeof scope === 'string' && /^(\*|[a-zA-Z][\w.]*(\/\w*)?\*?)$/.test(scope);
  if (!Array.isArray(scopes) || !scopes.every(good)) {
    throw new Error(`${where} needs "scopes": a list of "*" or beginnings of method names, such as recur.profile.v1.`);
  }
  return { token, name, scopes };
}
