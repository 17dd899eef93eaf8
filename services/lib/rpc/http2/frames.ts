/* The frames of HTTP/2 (RFC 9113, 4 and 6). */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const HEAD = 9;
/** What every side has to take, and what is asked of nobody to exceed. */
export const MOST_PAYLOAD = 16_384;
export const FIRST_WINDOW = 65_535;
export const LARGEST_WINDOW = 2 ** 31 - 1;

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const SETTING = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** RFC 9113, 7. */
export const CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

/** The peer broke a rule of the connection: it ends with this code. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Writes a frame's head; gives where its payload begins. */
export function putHead(bytes: Buffer, at: number, size: number, type: number, flags: number, stream: number): number {
  bytes[at] = size >>> 16;
  bytes[at + 1] = size >>> 8;
  bytes[at + 2] = size;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes.writeUInt32BE(stream, at + 5);
  return at + HEAD;
}

/** A frame of numbers of 32 bits: a reset, or a window update. */
export function numbersFrame(type: number, stream: number, ...numbers: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + 4 * numbers.length);
  let at = putHead(bytes, 0, 4 * numbers.length, type, 0, stream);
  for (const number of numbers) at = bytes.writeUInt32BE(number, at);
  return bytes;
}

/** @param reason for who reads the other side's log */
export function goAwayFrame(lastStream: number, code: number, reason = ''): Buffer {
  const bytes = Buffer.alloc(HEAD + 8 + reason.length);
  const at = putHead(bytes, 0, 8 + reason.length, FRAME.goAway, 0, 0);
  bytes.write(reason, bytes.writeUInt32BE(code, bytes.writeUInt32BE(lastStream, at)), 'latin1');
  return bytes;
}

export function pingFrame(flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + payload.length);
  bytes.set(payload, putHead(bytes, 0, payload.length, FRAME.ping, flags, 0));
  return bytes;
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + 6 * settings.length);
  let at = putHead(bytes, 0, 6 * settings.length, FRAME.settings, 0, 0);
  for (const [id, value] of settings) at = bytes.writeUInt32BE(value, bytes.writeUInt16BE(id, at));
  return bytes;
}

export const SETTINGS_ACK = Buffer.of(0, 0, 0, FRAME.settings, FLAG.ack, 0, 0, 0, 0);

/** A block of fields, in as many frames as it needs. */
export function fieldFrames(stream: number, block: Buffer, endStream: boolean): Buffer {
  const frames = Math.max(1, Math.ceil(block.length / MOST_PAYLOAD));
  const bytes = Buffer.allocUnsafe(frames * HEAD + block.length);
  let at = 0;
  for (let i = 0; i < frames; i++) {
    const part = block.subarray(i * MOST_PAYLOAD, (i + 1) * MOST_PAYLOAD);
    const flags = (i === 0 && endStream ? FLAG.endStream : 0) | (i === frames - 1 ? FLAG.endHeaders : 0);
    at = putHead(bytes, at, part.length, i === 0 ? FRAME.headers : FRAME.continuation, flags, stream);
    at += part.copy(bytes, at);
  }
  return bytes;
}
