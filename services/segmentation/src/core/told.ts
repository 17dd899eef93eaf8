import { Told as Message } from '#gen/recur/segmentation/v1/state.ts';

export const computedKey = (id: string): string => `computed:${id}`;
export const tagKey = (id: string): string => `tag:${id}`;

/** What profile told of a customer, JSON text by key. Decoded only when somebody asks. */
export class Told {
  #bytes: Uint8Array | undefined;
  #map: Map<string, string> | undefined;

  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined && bytes.length > 0) this.#bytes = bytes;
    else this.#map = new Map();
  }

  get(key: string): string | undefined {
    return this.#decoded().get(key);
  }

  /** Undefined takes it out. Returns whether it is another value than before. */
  set(key: string, json: string | undefined): boolean {
    const map = this.#decoded();
    if (map.get(key) === json) return false;
    if (json === undefined) map.delete(key);
    else map.set(key, json);
    this.#bytes = undefined;
    return true;
  }

  /** Takes over all that was told of somebody. */
  adopt(from: Told): void {
    for (const [key, json] of from.#decoded()) this.set(key, json);
  }

  encode(): Uint8Array {
    if (this.#bytes === undefined) {
      const map = this.#decoded();
      this.#bytes = Message.encode({ names: [...map.keys()], values: [...map.values()] }).finish();
    }
    return this.#bytes;
  }

  #decoded(): Map<string, string> {
    if (this.#map === undefined) {
      const { names, values } = Message.decode(this.#bytes ?? new Uint8Array());
      this.#map = new Map(names.map((name, i) => [name, values[i] ?? '']));
    }
    return this.#map;
  }
}
