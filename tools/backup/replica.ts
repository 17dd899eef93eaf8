import { once } from 'node:events';
import type { WriteStream } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Of silence: while it makes the dump a server sends a line now and then. */
const SILENCE_MS = 60_000;
/** Before the dump, and after it: 40 random bytes, when the server does not know its length before. */
const MARK_BYTES = 40;
const LINE_BYTES = 1024;

/**
 * Asks a Redis for what a new replica gets: everything as it is at one moment. `redis-cli --rdb` does the same.
 * @throws Error with what the server said, or that it broke off
 */
export async function receiveDump(url: string, out: WriteStream): Promise<void> {
  const { hostname: host, port, username, password, protocol } = new URL(url);
  const address = { host: host.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
  const socket = protocol === 'rediss:' ? connectTls({ ...address, servername: host }) : connectPlain(address);
  socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error(`Redis says nothing for ${SILENCE_MS / 1000} s`)));
  try {
    const answers = new Answers(socket);
    const user = username === '' || username === 'default' ? [] : [decodeURIComponent(username)];
    if (password !== '') await say(socket, answers, ['AUTH', ...user, decodeURIComponent(password)]);
    await say(socket, answers, ['REPLCONF', 'rdb-only', '1']);
    await say(socket, answers, ['REPLCONF', 'capa', 'eof']);
    socket.write(command(['SYNC']));
    await answers.dump(out);
    out.end();
    await once(out, 'close');
  } finally {
    socket.destroy();
    out.destroy();
  }
}

const command = (words: readonly string[]) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

async function say(socket: Socket, answers: Answers, words: readonly string[]): Promise<void> {
  socket.write(command(words));
  const answer = await answers.line();
  if (answer !== '+OK') throw new Error(`Redis says to ${words[0]}: ${answer}`);
}

/** What the server sends, in lines and then in bytes. */
class Answers {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async #more(): Promise<Buffer> {
    const { value, done } = await this.#chunks.next();
    if (done === true) throw new Error('Redis broke off the copy');
    return value;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf('\n');
      if (end > LINE_BYTES || (end < 0 && this.#rest.length > LINE_BYTES)) throw new Error('this is no Redis');
      if (end < 0) this.#rest = Buffer.concat([this.#rest, await this.#more()]);
      else {
        const line = this.#rest.toString('latin1', 0, end).trimEnd();
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
    }
  }

  async dump(out: WriteStream): Promise<void> {
    let head = await this.line();
    // An empty line says that it is alive.
    while (head === '') head = await this.line();
    const [, mark, length] = /^\$(?:EOF:(.{40})|(\d+))$/.exec(head) ?? [];
    if (mark !== undefined) await this.#until(Buffer.from(mark, 'latin1'), out);
    else if (length !== undefined) await this.#exactly(Number(length), out);
    else throw new Error(`Redis says to SYNC: ${head}`);
  }

  async #until(mark: Buffer, out: WriteStream): Promise<void> {
    for (let held = this.#rest; ; held = Buffer.concat([held, await this.#more()])) {
      const end = held.indexOf(mark);
      if (end >= 0) return write(out, held.subarray(0, end));
      const sure = Math.max(0, held.length - MARK_BYTES);
      await write(out, held.subarray(0, sure));
      held = held.subarray(sure);
    }
  }

  async #exactly(length: number, out: WriteStream): Promise<void> {
    let left = length;
    for (let bytes = this.#rest; ; bytes = await this.#more()) {
      await write(out, bytes.subarray(0, left));
      left -= Math.min(left, bytes.length);
      if (left === 0) return;
    }
  }
}

async function write(out: WriteStream, bytes: Buffer): Promise<void> {
  if (bytes.length > 0 && !out.write(bytes)) await once(out, 'drain');
}
