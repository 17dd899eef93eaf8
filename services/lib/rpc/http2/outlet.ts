import type { Socket } from 'node:net';
import { FIRST_WINDOW, LARGEST_WINDOW } from './frames.ts';

/** Bytes for a peer that does not read: data wait from the first on, whatever else is written ends the connection at the second. */
const WAIT_BYTES = 1024 * 1024;
const MOST_UNREAD_BYTES = 8 * 1024 * 1024;

/** What can wait for room. */
export interface Waiting {
  pump(): void;
}

/** What goes out over a connection, and the room there is for data of all its streams. */
export class Outlet {
  readonly #socket: Socket;
  readonly #overfull: () => void;
  #out: Buffer[] = [];
  #outBytes = 0;
  #window = FIRST_WINDOW;
  #waiting = new Set<Waiting>();
  #closed = false;

  /** @param overfull the other side does not read */
  constructor(socket: Socket, overfull: () => void) {
    this.#socket = socket;
    this.#overfull = overfull;
    socket.on('drain', () => this.#pump());
  }

  /** What is written in one turn of the event loop, or by promises that settle in it, goes out together. */
  write(bytes: Buffer): void {
    if (this.#closed) return;
    this.#outBytes += bytes.length;
    if (this.#out.push(bytes) === 1) process.nextTick(flush, this);
  }

  flush(): void {
    const out = this.#out;
    if (out.length === 0) return;
    this.#out = [];
    this.#outBytes = 0;
    if (this.#socket.destroyed) return;
    this.#socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
    if (this.#socket.writableLength > MOST_UNREAD_BYTES) this.#overfull();
  }

  /** What was written goes out, then nothing more. */
  end(): void {
    this.flush();
    this.#closed = true;
    this.#socket.end();
  }

  /** Bytes of data that may be written now. */
  room(): number {
    return this.#socket.writableLength + this.#outBytes > WAIT_BYTES ? 0 : this.#window;
  }

  /** Data go out: less room. */
  spend(bytes: number): void {
    this.#window -= bytes;
  }

  /** @returns false when the window becomes too large */
  widen(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > LARGEST_WINDOW) return false;
    this.#pump();
    return true;
  }

  /** To be pumped when there is room. */
  wait(one: Waiting): void {
    this.#waiting.add(one);
  }

  forget(one: Waiting): void {
    this.#waiting.delete(one);
  }

  #pump(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const one of waiting) one.pump();
  }
}

function flush(outlet: Outlet): void {
  outlet.flush();
}
