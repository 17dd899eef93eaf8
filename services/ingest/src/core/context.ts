import type { Json } from './inspect.ts';

const CAMPAIGN = ['name', 'source', 'medium', 'term', 'content', 'id'] as const;
const MAX_TEXT = 300;
const NONE = Buffer.alloc(0);

/**
 * What analytics keep of a context, as JSON: campaign, page path, device type, locale, timezone, library. Never the address
 * (ip), and of the page no query, where all kinds of things stand. Whatever has a strange type is left out: senders do not
 * choose their context, their SDK does.
 *
 * Events of one sender mostly have the same one, so the last is kept.
 */
export class ContextReader {
  readonly #key: unknown[] = [];
  #last: Buffer = NONE;

  read(context: Json): Buffer {
    const { campaign, page, device, library } = context;
    const key = [
      text(context.locale),
      text(context.timezone),
      text(fieldOf(device, 'type')),
      pathOf(page),
      text(fieldOf(library, 'name')),
      text(fieldOf(library, 'version')),
    ];
    if (typeof campaign === 'object' && campaign !== null)
      for (const name of CAMPAIGN) key.push(text(fieldOf(campaign, name)));
    if (this.#isLast(key)) return this.#last;
    this.#key.splice(0, this.#key.length, ...key);
    this.#last = encode(key);
    return this.#last;
  }

  #isLast(key: readonly unknown[]): boolean {
    const last = this.#key;
    if (last.length !== key.length) return false;
    for (let i = 0; i < key.length; i++) if (last[i] !== key[i]) return false;
    return true;
  }
}

function encode([locale, timezone, deviceType, path, libraryName, libraryVersion, ...campaign]: (
  | string
  | undefined
)[]): Buffer {
  const kept = {
    campaign: some(Object.fromEntries(CAMPAIGN.map((name, i) => [name, campaign[i]]))),
    page: some({ path }),
    device: some({ type: deviceType }),
    locale,
    timezone,
    library: some({ name: libraryName, version: libraryVersion }),
  };
  return some(kept) === undefined ? NONE : Buffer.from(JSON.stringify(kept));
}

function some<T extends object>(object: T): T | undefined {
  return Object.values(object).some((value) => value !== undefined) ? object : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Json)[name] : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined;
}

function pathOf(page: unknown): string | undefined {
  const path = text(fieldOf(page, 'path'));
  if (path !== undefined) return withoutQuery(path);
  const url = fieldOf(page, 'url');
  if (typeof url !== 'string' || url.length > 4_000) return undefined;
  return text(URL.parse(url)?.pathname);
}

/** An address without what may be said about a person in it: query, fragment, user and password. */
export function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return (end < 0 ? url : url.slice(0, end)).replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1');
}
