/**
 * What the mailbox keeps in memory of each mail: where its line is in the index file, and a hash of its Message-ID to
 * find it by. Some 25 bytes a mail, in flat arrays that the garbage collector need not walk: a mailbox of a million
 * mails stays small.
 */
export class Positions {
  #count = 0;
  #lines = new Float64Array(1024);
  #hashes = new Uint32Array(1024);
  /** The newest mail of each bucket (a bucket is a hash's lower bits), and the next older one of the same bucket. */
  #newest = new Int32Array(1024).fill(-1);
  #older = new Int32Array(1024);

  get count(): number {
    return this.#count;
  }

  add(line: number, messageId: string): number {
    if (this.#count === this.#lines.length) this.#grow();
    const number = this.#count++;
    this.#lines[number] = line;
    this.#hashes[number] = hashOf(messageId);
    this.#chain(number);
    return number;
  }

  /** Where the line of a mail starts in the index file. */
  line(number: number): number {
    return this.#lines[number] ?? 0;
  }

  /** Mails that may have this Message-ID, newest first. Different ids can share a hash: the caller compares. */
  *candidates(messageId: string): Generator<number> {
    const hash = hashOf(messageId);
    let number = this.#newest[hash & (this.#newest.length - 1)] ?? -1;
    for (; number >= 0; number = this.#older[number] ?? -1) if (this.#hashes[number] === hash) yield number;
  }

  #chain(number: number): void {
    const bucket = (this.#hashes[number] ?? 0) & (this.#newest.length - 1);
    this.#older[number] = this.#newest[bucket] ?? -1;
    this.#newest[bucket] = number;
  }

  #grow(): void {
    const size = this.#lines.length * 2;
    const [lines, hashes] = [this.#lines, this.#hashes];
    this.#lines = new Float64Array(size);
    this.#lines.set(lines);
    this.#hashes = new Uint32Array(size);
    this.#hashes.set(hashes);
    this.#older = new Int32Array(size);
    this.#newest = new Int32Array(size).fill(-1);
    for (let number = 0; number < this.#count; number++) this.#chain(number);
  }
}

/** FNV-1a, with a last stir so that the lower bits, which choose the bucket, depend on everything. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
