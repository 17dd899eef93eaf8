import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import type { CallResult } from '../channel.ts';
import type { Mail } from './message.ts';

export interface SmtpOptions {
  /** smtp:// or smtps://, with user and password where the server wants them. */
  readonly url: string;
  readonly connections: number;
  /** Longest a whole call may take. */
  readonly callMs?: number;
  /** A connection nobody needed for so long is ended politely; 4 minutes when left out, before servers lose patience (RFC 5321: 5). */
  readonly idleMs?: number;
}

/** What nodemailer puts on its errors. */
interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
  response?: string;
}

/** A pool of persistent connections to one server. */
export class SmtpTransport {
  private readonly pool: ReturnType<typeof createPool>;
  private readonly callMs: number;

  constructor(options: SmtpOptions) {
    this.pool = createPool(options);
    this.callMs = options.callMs ?? 60_000;
    this.pool.use('stream', (mail, done) => {
      inOnePiece(mail as unknown as WatchedMail).then(() => done(), done);
    });
  }

  /** Never rejects. */
  async send(mail: Mail): Promise<CallResult> {
    const call: StreamWatch = { streams: [] };
    // Not AbortSignal.timeout: that one lives on, and makes an error for nobody, long after the call is over.
    const aborter = new AbortController();
    const timer = setTimeout(() => aborter.abort(), this.callMs);
    const { from, to, subject, text, html, headers } = mail;
    const body = { ...(text !== '' && { text }), ...(html !== '' && { html }) };
    try {
      const info = await this.pool.sendMail({
        ...{ from: { ...from }, to: { name: '', address: to }, subject, ...body, headers: { ...headers } },
        messageId: `<${mail.messageId}>`,
        signal: aborter.signal,
        // A template must not pull files or pages into a mail.
        ...{ disableFileAccess: true, disableUrlAccess: true },
        ...{ [WATCH]: call },
      } as Parameters<typeof this.pool.sendMail>[0]);
      return { kind: 'accepted', providerId: providerIdOf(info.response) || mail.messageId };
    } catch (error) {
      return classify(
        error as SmtpError,
        call.streams.some((stream) => stream.readableDidRead),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.pool.close();
  }
}

const IDLE_MS = 4 * 60_000;
const MINUTE_MS = 60_000;

function createPool({ url, connections, idleMs = IDLE_MS }: SmtpOptions) {
  return createTransport({
    ...{ url, pool: true as const, maxConnections: connections, maxMessages: Number.POSITIVE_INFINITY },
    // A message whose connection closed comes back here, where it is known whether it may be repeated.
    maxRequeues: 0,
    // A connection waits for the next mail as well: silence is no sign of trouble. A call that hangs is aborted by its own limit.
    ...{ connectionTimeout: 10_000, greetingTimeout: 10_000, idleTimeout: idleMs, socketTimeout: idleMs + MINUTE_MS },
  });
}

// nodemailer hands options it does not know through to plugins.
const WATCH = 'recurWatch';

interface StreamWatch {
  readonly streams: Readable[];
}

interface WatchedMail {
  readonly data: { readonly [WATCH]?: StreamWatch };
  readonly message: { build(): Promise<Buffer>; createReadStream(): Readable };
}

/**
 * The message is written before it is sent, or it would leave in nine pieces, and wake the server for each. Keeps the streams it
 * is read from: as long as none was read, not a byte of it has left.
 */
async function inOnePiece({ data, message }: WatchedMail): Promise<void> {
  const bytes = await message.build();
  message.createReadStream = () => {
    const stream = Readable.from(bytes);
    data[WATCH]?.streams.push(stream);
    return stream;
  };
}

/** Reasons carry codes only: servers like to quote the address in their text. */
function classify(error: SmtpError, dataBegan: boolean): CallResult {
  const { responseCode = 0, response = '', code = 'ERROR' } = error;
  if (code === 'EAUTH') return { kind: 'later', reason: `smtp_auth ${responseCode}`, reached: false };
  if (responseCode >= 400) {
    const enhanced = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response)?.[1];
    const reason = `smtp ${responseCode}${enhanced ? ` ${enhanced}` : ''}`;
    const forGood = responseCode >= 500 && responseCode !== 503;
    return forGood ? { kind: 'refused', reason } : { kind: 'later', reason, reached: true };
  }
  const reason = `connection ${code}`;
  return dataBegan ? { kind: 'lost', reason } : { kind: 'later', reason, reached: false };
}

/** "250 2.0.0 Ok: queued as 4XyZ" → "4XyZ". */
function providerIdOf(response: string | undefined): string {
  return /\b(?:queued|stored) as ([\w.-]{1,128})/i.exec(response ?? '')?.[1] ?? '';
}
