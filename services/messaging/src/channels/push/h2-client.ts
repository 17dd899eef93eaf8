import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';

const MAX_ANSWER = 16 * 1024;
const IDLE_MS = 10 * 60_000;

export interface H2Answer {
  readonly status: number;
  /** At most 16 KiB of it. */
  readonly text: string;
  readonly header: (name: string) => string;
}

/** Why there is no answer. */
export class H2Error extends Error {
  readonly code: string;
  /** The request may have been taken. */
  readonly reached: boolean;

  constructor(code: string, reached: boolean) {
    super(code);
    this.code = code;
    this.reached = reached;
  }
}

interface Connection {
  readonly session: ClientHttp2Session;
  isConnected: boolean;
  error?: string;
  /** Of a GOAWAY: nobody looked at those after it. */
  lastStreamId?: number;
}

/**
 * One HTTP/2 connection, made when it is needed and again after it ended; calls share it. What HTTP/2 tells about requests nobody
 * looked at (refused streams, those after the last of a GOAWAY, no connection at all) is told apart from lost answers.
 */
export class H2Client {
  readonly #origin: string;
  readonly #callMs: number;
  #connection: Connection | undefined;

  constructor(origin: string, callMs: number) {
    this.#origin = origin;
    this.#callMs = callMs;
  }

  /** @throws H2Error */
  call(headers: OutgoingHttpHeaders, body: string): Promise<H2Answer> {
    const connection = this.#connected();
    return new Promise((resolve, reject) => {
      let stream: ClientHttp2Stream;
      try {
        stream = connection.session.request(headers);
      } catch {
        // It ended between the look and the request.
        reject(new H2Error('closed', false));
        return;
      }
      let answer: { status: number; headers: Readonly<Record<string, unknown>> } | undefined;
      let text = '';
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        // Whoever comes now gets a new connection; those under way on this one may still get their answers.
        this.#leave(connection);
        stream.close(constants.NGHTTP2_CANCEL);
      }, this.#callMs);
      stream.setEncoding('utf8');
      stream.on('response', (head) => {
        answer = { status: Number(head[':status']), headers: head };
      });
      stream.on('data', (chunk: string) => {
        if (text.length < MAX_ANSWER) text += chunk.slice(0, MAX_ANSWER - text.length);
      });
      // Told by `close`, which always comes.
      stream.on('error', () => undefined);
      stream.on('close', () => {
        clearTimeout(timer);
        if (answer && stream.rstCode === constants.NGHTTP2_NO_ERROR && !isLate) {
          const { status, headers: head } = answer;
          resolve({ status, text, header: (name) => String(head[name] ?? '').slice(0, 200) });
        } else reject(errorOf(connection, stream, isLate));
      });
      stream.end(body);
    });
  }

  close(): void {
    this.#connection?.session.close();
    this.#connection = undefined;
  }

  #connected(): Connection {
    const current = this.#connection;
    if (current && !current.session.closed && !current.session.destroyed) return current;
    const session = connect(this.#origin, { settings: { enablePush: false } });
    const connection: Connection = { session, isConnected: false };
    this.#connection = connection;
    const connecting = setTimeout(() => session.destroy(), this.#callMs / 2);
    session.once('connect', () => {
      connection.isConnected = true;
      clearTimeout(connecting);
    });
    session.once('close', () => clearTimeout(connecting));
    session.on('error', (error: NodeJS.ErrnoException) => {
      connection.error = error.code ?? 'error';
    });
    session.on('goaway', (_code, lastStreamId) => {
      connection.lastStreamId = lastStreamId;
      this.#leave(connection);
    });
    session.setTimeout(IDLE_MS, () => this.#leave(connection));
    return connection;
  }

  #leave(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.session.close();
  }
}

function errorOf(
  { isConnected, error, lastStreamId }: Connection,
  stream: ClientHttp2Stream,
  isLate: boolean,
): H2Error {
  const { id, rstCode } = stream;
  const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM || (id !== undefined && id > (lastStreamId ?? id));
  const code = isLate ? 'timeout' : (error ?? (isConnected ? `stream ${rstCode}` : 'no connection'));
  return new H2Error(code, isConnected && id !== undefined && !isRefused);
}
