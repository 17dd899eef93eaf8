import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

/**
 * A file that is only ever added to, and knows where its content ends. What a failed or killed write leaves behind the
 * end is cut off, so a reader never meets half of anything.
 */
export class AppendFile {
  readonly #fd: number;
  #size: number;

  constructor(path: string) {
    // 'r+' and not 'a': with 'a' the system ignores the position we write at.
    this.#fd = openOrCreate(path);
    this.#size = fstatSync(this.#fd).size;
  }

  get size(): number {
    return this.#size;
  }

  /** Everything or nothing. Handed to the system, so kill -9 of this process does not lose it. */
  append(bytes: Buffer): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#size + done);
      }
    } catch (error) {
      this.truncate(this.#size);
      throw error;
    }
    this.#size += bytes.length;
  }

  read(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  /** Lines with where they start, in pieces: the file may be larger than memory should be. A last half line is left out. */
  *lines(): Generator<{ position: number; text: string }> {
    let position = 0;
    let rest: Buffer = Buffer.alloc(0);
    for (let at = 0; at < this.#size; ) {
      const piece = this.read(at, Math.min(1 << 20, this.#size - at));
      at += piece.length;
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let start = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
        yield { position: position + start, text: bytes.toString('utf8', start, end) };
        start = end + 1;
      }
      rest = bytes.subarray(start);
      position += start;
    }
  }

  truncate(size: number): void {
    ftruncateSync(this.#fd, size);
    this.#size = size;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function openOrCreate(path: string): number {
  closeSync(openSync(path, 'a'));
  return openSync(path, 'r+');
}
