/** Who may send events: write key → source (channel). Keys are public in web pages, so a plain lookup will do. */
export class WriteKeys {
  readonly #sources: ReadonlyMap<string, string>;

  constructor(sources: ReadonlyMap<string, string>) {
    this.#sources = sources;
  }

  /** @param content JSON `{"<writeKey>": {"source": "web"}}` */
  static parse(content: string): WriteKeys {
    let json: unknown;
    try {
      json = JSON.parse(content);
    } catch {
      throw new Error('the file must hold JSON');
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new Error('the file must hold a JSON object');
    const sources = new Map<string, string>();
    for (const [index, [key, entry]] of Object.entries(json).entries()) {
      const where = `write key number ${index + 1}`;
      const source = (entry as { source?: unknown } | null)?.source;
      if (!/^[\x21-\x7e]{1,128}$/.test(key))
        throw new Error(`${where} must be 1 to 128 printable characters without spaces`);
      if (typeof source !== 'string' || !/^[a-z0-9][a-z0-9_-]{0,62}$/.test(source)) {
        throw new Error(`${where} needs a "source" of a-z, 0-9, "_" or "-", at most 63 characters`);
      }
      sources.set(key, source);
    }
    return new WriteKeys(sources);
  }

  get size(): number {
    return this.#sources.size;
  }

  /** The channel the key stands for; undefined when there is no such key. */
  sourceOf(writeKey: string): string | undefined {
    return this.#sources.get(writeKey);
  }
}
