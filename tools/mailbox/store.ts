import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AppendFile } from './append-file.ts';
import { bareId, readHeaders } from './headers.ts';
import { Positions } from './positions.ts';

/** A mail as the index has it: one line of JSON in index.jsonl, its bytes in mails.eml at `offset`. */
export interface MailEntry {
  /** When it was stored. */
  at: string;
  offset: number;
  size: number;
  messageId: string;
  /** Who it says it is from: the header as it stands. */
  from: string;
  subject: string;
  /** The SMTP envelope: who really sent it, and to whom it really goes (blind copies too). */
  sender: string;
  to: string[];
}

export interface StoredMail extends MailEntry {
  id: string;
}

export class MailboxFull extends Error {}

interface Waiting {
  raw: Buffer;
  sender: string;
  to: string[];
  done: (id: string) => void;
  failed: (error: unknown) => void;
}

/**
 * Mails on disk. A mail that was answered with 250 is in the files and survives kill -9 of this process: its bytes are
 * written first, its index line second, and only then is it answered. Mails that arrive together are written together.
 */
export class MailStore {
  readonly #bodies: AppendFile;
  readonly #index: AppendFile;
  readonly #most: number;
  #positions = new Positions();
  #name = '';
  #waiting: Waiting[] = [];

  /** `most`: how many mails it takes before it says it is full. Memory grows with them, by some 25 bytes each. */
  constructor(dir: string, most = 5_000_000) {
    mkdirSync(dir, { recursive: true });
    this.#most = most;
    this.#bodies = new AppendFile(join(dir, 'mails.eml'));
    this.#index = new AppendFile(join(dir, 'index.jsonl'));
    this.#load();
  }

  get count(): number {
    return this.#positions.count;
  }

  /** Resolves with the mail's id once it is stored. */
  add(raw: Buffer, sender: string, to: string[]): Promise<string> {
    if (this.count + this.#waiting.length >= this.#most)
      return Promise.reject(new MailboxFull(`the mailbox holds ${this.#most} mails`));
    return new Promise((done, failed) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush());
      this.#waiting.push({ raw, sender, to, done, failed });
    });
  }

  get(id: string): StoredMail | undefined {
    const [name, digits = ''] = id.split('-');
    const number = name === this.#name && /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
    return number < this.count ? this.#read(number) : undefined;
  }

  /** Newest first. */
  list(start: number, limit: number): StoredMail[] {
    const mails: StoredMail[] = [];
    for (let number = this.count - 1 - start; number >= 0 && mails.length < limit; number--)
      mails.push(this.#read(number));
    return mails;
  }

  /** All mails with exactly this Message-ID, newest first. */
  withMessageId(messageId: string): StoredMail[] {
    const wanted = bareId(messageId);
    return [...this.#positions.candidates(wanted)]
      .map((number) => this.#read(number))
      .filter((mail) => mail.messageId === wanted);
  }

  raw(mail: MailEntry): Buffer {
    return this.#bodies.read(mail.offset, mail.size);
  }

  clear(): void {
    this.#flush();
    // The index first: should we be killed in between, bytes without a line are nothing.
    this.#index.truncate(0);
    this.#bodies.truncate(0);
    this.#begin();
  }

  close(): void {
    this.#flush();
    this.#index.close();
    this.#bodies.close();
  }

  #flush(): void {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    const bodiesBefore = this.#bodies.size;
    const indexBefore = this.#index.size;
    try {
      let offset = bodiesBefore;
      const at = new Date().toISOString();
      const entries = batch.map(({ raw, sender, to }) => {
        const entry: MailEntry = { at, offset, size: raw.length, ...readHeaders(raw), sender, to };
        offset += raw.length;
        return entry;
      });
      const lines = entries.map((entry) => Buffer.from(`${JSON.stringify(entry)}\n`));
      this.#bodies.append(Buffer.concat(batch.map(({ raw }) => raw)));
      this.#index.append(Buffer.concat(lines));
      let line = indexBefore;
      batch.forEach(({ done }, i) => {
        const number = this.#positions.add(line, entries[i]?.messageId ?? '');
        line += lines[i]?.length ?? 0;
        done(this.#idOf(number));
      });
    } catch (error) {
      if (this.#bodies.size > bodiesBefore) this.#bodies.truncate(bodiesBefore);
      for (const { failed } of batch) failed(error);
    }
  }

  #read(number: number): StoredMail {
    const start = this.#positions.line(number);
    const end = number + 1 < this.count ? this.#positions.line(number + 1) : this.#index.size;
    const entry = JSON.parse(this.#index.read(start, end - start).toString('utf8')) as MailEntry;
    return { id: this.#idOf(number), ...entry };
  }

  #idOf(number: number): string {
    return `${this.#name}-${number}`;
  }

  /** A new, empty mailbox has a new name, so that ids of deleted mails never mean others. */
  #begin(): void {
    this.#positions = new Positions();
    this.#name = randomBytes(4).toString('hex');
    this.#index.append(Buffer.from(`${JSON.stringify({ mailbox: this.#name })}\n`));
  }

  #load(): void {
    let bodiesEnd = 0;
    let indexEnd = 0;
    for (const { position, text } of this.#index.lines()) {
      const entry = parse(text);
      if (entry === undefined) break;
      if ('mailbox' in entry) {
        this.#name = entry.mailbox;
      } else {
        // After a loss of power the index may name bytes that never reached the disk.
        if (entry.offset + entry.size > this.#bodies.size) break;
        this.#positions.add(position, entry.messageId);
        bodiesEnd = entry.offset + entry.size;
      }
      indexEnd = position + Buffer.byteLength(text) + 1;
    }
    this.#index.truncate(indexEnd);
    this.#bodies.truncate(bodiesEnd);
    if (this.#name === '') this.#begin();
  }
}

function parse(line: string): MailEntry | { mailbox: string } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
