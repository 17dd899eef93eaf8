import { CODE, ConnectionError, FLAG, FRAME, LARGEST_WINDOW, MOST_PAYLOAD, SETTING } from './frames.ts';
import type { Fields } from './hpack.ts';

/* What RFC 9113 says of frames and requests whatever came before them. */

/** @throws ConnectionError */
export function rule(holds: boolean, code: number, otherwise: string): asserts holds {
  if (!holds) throw new ConnectionError(code, otherwise);
}

/** Which stream a frame is of, and how long it is. */
export function checkFrame(type: number, flags: number, stream: number, size: number): void {
  const { protocolError, frameSizeError } = CODE;
  switch (type) {
    case FRAME.data:
    case FRAME.continuation:
    case FRAME.priority:
      rule(stream !== 0, protocolError, 'a frame of no stream');
      return;
    case FRAME.headers:
      rule(stream % 2 === 1, protocolError, 'a client opens odd streams');
      return;
    case FRAME.reset:
      rule(stream !== 0, protocolError, 'a frame of no stream');
      rule(size === 4, frameSizeError, 'a reset has 4 bytes');
      return;
    case FRAME.windowUpdate:
      rule(size === 4, frameSizeError, 'a window update has 4 bytes');
      return;
    case FRAME.settings:
      rule(stream === 0, protocolError, 'settings are of the connection');
      rule((flags & FLAG.ack) !== 0 ? size === 0 : size % 6 === 0, frameSizeError, 'settings have 6 bytes each');
      return;
    case FRAME.ping:
      rule(stream === 0, protocolError, 'a ping is of the connection');
      rule(size === 8, frameSizeError, 'a ping has 8 bytes');
      return;
    case FRAME.goAway:
      rule(stream === 0, protocolError, 'its end is of the connection');
      rule(size >= 8, frameSizeError, 'an end has 8 bytes');
      return;
    case FRAME.pushPromise:
      rule(false, protocolError, 'a client pushes nothing');
  }
}

export function checkSetting(setting: number, value: number): void {
  const { protocolError, flowControlError } = CODE;
  if (setting === SETTING.enablePush) rule(value <= 1, protocolError, 'pushes are on or off');
  if (setting === SETTING.initialWindowSize) rule(value <= LARGEST_WINDOW, flowControlError, 'the window is too large');
  if (setting === SETTING.maxFrameSize) {
    rule(value >= MOST_PAYLOAD && value < 2 ** 24, protocolError, 'a frame may not be as small or large');
  }
}

/** Where the payload is without what fills it up. */
export function unpadded(flags: number, bytes: Buffer, from: number, to: number): [start: number, end: number] {
  if ((flags & FLAG.padded) === 0) return [from, to];
  rule(from < to, CODE.frameSizeError, 'a padded frame has a length');
  const end = to - (bytes[from] as number);
  rule(end > from, CODE.protocolError, 'a frame is longer filled than it is');
  return [from + 1, end];
}

/** Where fields begin after what was a priority once. */
export function afterPriority(flags: number, stream: number, bytes: Buffer, start: number, end: number): number {
  if ((flags & FLAG.priority) === 0) return start;
  rule(end - start >= 5, CODE.frameSizeError, 'a priority is too short');
  rule(!dependsOn(bytes, start, stream), CODE.protocolError, 'a stream depends on itself');
  return start + 5;
}

export function dependsOn(bytes: Buffer, at: number, stream: number): boolean {
  return (bytes.readUInt32BE(at) & 0x7fffffff) === stream;
}

/** Fields of a request as RFC 9113 8.3 has them: `:method`, `:scheme` and `:path` once, first, and nothing of a connection. */
export function isRequest(fields: Fields): boolean {
  let pseudo = 0;
  let regular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.charCodeAt(0) !== 0x3a) {
      regular = true;
      if (OF_CONNECTIONS.has(name) || (name === 'te' && fields[i + 1] !== 'trailers')) return false;
      continue;
    }
    const bit = PSEUDO[name];
    if (regular || bit === undefined || (pseudo & bit) !== 0 || (name === ':path' && fields[i + 1] === ''))
      return false;
    pseudo |= bit;
  }
  return (pseudo & REQUIRED) === REQUIRED;
}

const PSEUDO: Readonly<Record<string, number>> = { ':method': 1, ':scheme': 2, ':path': 4, ':authority': 8 };
const REQUIRED = 7;
const OF_CONNECTIONS = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);
