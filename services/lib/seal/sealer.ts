import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from 'node:crypto';
import type { KeyRing } from './keys.ts';

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const HEAD = 2 + NONCE;

/** Bytes that sealing adds. */
export const SEAL_OVERHEAD: number = HEAD + TAG;

export class SealError extends Error {
  constructor(reason: string) {
    super(`Cannot open sealed bytes: ${reason}.`);
    this.name = 'SealError';
  }
}

/**
 * Seals personal data for storage and transport: AES-256-GCM.
 *
 *     version (1 byte, 1) · key id (1 byte) · nonce (12 bytes) · ciphertext · tag (16 bytes)
 *
 * Nonces are random: rotate a key before it has sealed 2^32 values.
 */
export class Sealer {
  readonly #keys: KeyRing;
  // Key objects: from raw bytes each call would prepare the key anew, ten times the cost of sealing.
  readonly #prepared = new Map<number, KeyObject>();
  // Random bytes for many nonces at once, for the same reason.
  readonly #random = Buffer.alloc(NONCE * 512);
  #used = this.#random.length;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  /** @param context what the bytes belong to; `open` must be told the same, so they cannot be moved elsewhere unnoticed */
  seal(plain: Uint8Array | string, context = ''): Buffer {
    const { id } = this.#keys.active;
    const nonce = this.#nonce();
    const cipher = createCipheriv('aes-256-gcm', this.#key(id), nonce, { authTagLength: TAG });
    cipher.setAAD(aad(id, context));
    const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain);
    cipher.final(); // a stream mode: nothing is left over
    return Buffer.concat([Buffer.of(VERSION, id), nonce, body, cipher.getAuthTag()]);
  }

  /** @throws SealError when the bytes are not sealed, were changed, belong to another context or the key is gone */
  open(sealed: Uint8Array, context = ''): Buffer {
    if (sealed.length < SEAL_OVERHEAD) throw new SealError('too short');
    if (sealed[0] !== VERSION) throw new SealError(`version ${sealed[0]} is not known`);
    const id = sealed[1] as number;
    const decipher = createDecipheriv('aes-256-gcm', this.#key(id), sealed.subarray(2, HEAD), { authTagLength: TAG });
    decipher.setAAD(aad(id, context));
    decipher.setAuthTag(sealed.subarray(-TAG));
    try {
      const body = decipher.update(sealed.subarray(HEAD, -TAG));
      decipher.final();
      return body;
    } catch {
      throw new SealError('changed, or sealed with another key or for another context');
    }
  }

  #key(id: number): KeyObject {
    const prepared = this.#prepared.get(id);
    if (prepared !== undefined) return prepared;
    const bytes = this.#keys.get(id);
    if (bytes === undefined) throw new SealError(`key ${id} is not in the key file`);
    const key = createSecretKey(bytes);
    this.#prepared.set(id, key);
    return key;
  }

  /** Twelve random bytes never given out before; valid until the next call. */
  #nonce(): Buffer {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    const nonce = this.#random.subarray(this.#used, this.#used + NONCE);
    this.#used += NONCE;
    return nonce;
  }
}

const plainAad = new Map<number, Buffer>();

function aad(id: number, context: string): Buffer {
  if (context !== '') return Buffer.from(`${VERSION}:${id}:${context}`);
  let bytes = plainAad.get(id);
  if (bytes === undefined) {
    bytes = Buffer.from(`${VERSION}:${id}:`);
    plainAad.set(id, bytes);
  }
  return bytes;
}
