/** A key and the number under which sealed data names it. */
export interface Key {
  /** 1 to 255 */
  readonly id: number;
  /** 32 bytes */
  readonly bytes: Uint8Array;
}

/**
 * Keys of one purpose: one active, the others only for reading what was written before a rotation. Printing a KeyRing
 * (console, JSON, log) shows nothing of the keys.
 */
export class KeyRing {
  readonly #keys = new Map<number, Uint8Array>();
  readonly #active: Key;

  /** @param keys the first one is active */
  constructor(keys: readonly Key[]) {
    const [active] = keys;
    if (active === undefined) throw new Error('a key ring needs at least one key');
    for (const { id, bytes } of keys) {
      if (!Number.isInteger(id) || id < 1 || id > 255) throw new Error('a key id must be a whole number from 1 to 255');
      if (bytes.length !== 32) throw new Error(`key ${id} must be 32 bytes long, it has ${bytes.length}`);
      if (this.#keys.has(id)) throw new Error(`key id ${id} is used twice`);
      this.#keys.set(id, bytes);
    }
    this.#active = active;
  }

  /**
   * A key file: a single key as 64 hex digits (its id is 1), or one `id:hex` per line, the active one first. Empty lines
   * and lines that start with # do not count. Errors name the line, never its content.
   */
  static parse(content: string): KeyRing {
    const lines = content.split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 }));
    const used = lines.filter(({ text }) => text !== '' && !text.startsWith('#'));
    if (used.length === 0) throw new Error('the file holds no key');
    const keys = used.map(({ text, number }) => {
      const [, id, hex] = /^(?:(\d{1,3}):)?([\da-fA-F]{64})$/.exec(text) ?? [];
      if (hex === undefined) throw new Error(`line ${number} must be 64 hex digits (32 bytes), or id:hex`);
      if (id === undefined && used.length > 1)
        throw new Error(`line ${number} needs an id: several keys are "id:hex" lines`);
      return { id: Number(id ?? 1), bytes: Buffer.from(hex, 'hex') };
    });
    return new KeyRing(keys);
  }

  get active(): Key {
    return this.#active;
  }

  get(id: number): Uint8Array | undefined {
    return this.#keys.get(id);
  }
}
