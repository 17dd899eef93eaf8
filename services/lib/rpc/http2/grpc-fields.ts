import { type StatusObject, status } from '@grpc/grpc-js';
import type { CallMetadata } from '../call.ts';
import { RpcError } from '../errors.ts';
import { type Fields, fieldBlock, fieldOf } from './hpack.ts';
import { ENCODING_NAMES } from './messages.ts';
import type { ServerStream } from './stream.ts';

/* The fields gRPC over HTTP/2 gives a meaning to. */

const CONTENT_TYPE = ['content-type', 'application/grpc+proto'] as const;
/** Before the messages of an answer, and after them. */
export const ANSWER_FIELDS: Buffer = fieldBlock(true, [CONTENT_TYPE]);
export const OK_FIELDS: Buffer = fieldBlock(false, [['grpc-status', '0']]);

export function isGrpc(fields: Fields): boolean {
  const contentType = fieldOf(fields, 'content-type') ?? '';
  return fieldOf(fields, ':method') === 'POST' && /^application\/grpc(?:[+;]|$)/.test(contentType);
}

/** Answers who calls with something else, as gRPC wants it. */
export function refuseOther(stream: ServerStream): void {
  stream.fields(NOT_GRPC);
  stream.data(NOT_GRPC_TEXT);
  stream.end(NOTHING);
}

/** `:status: 415`. */
const NOT_GRPC = Buffer.concat([
  Buffer.from('\x08\x03415', 'latin1'),
  fieldBlock(false, [['content-type', 'text/plain']]),
]);
const NOT_GRPC_TEXT = Buffer.from('This port speaks gRPC: POST, content-type application/grpc.\n');
const NOTHING = Buffer.alloc(0);

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * @param text what `grpc-timeout` says
 * @throws RpcError when that is none
 */
export function timeoutMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const unit = UNIT_MS[text.charAt(text.length - 1)];
  const digits = text.slice(0, -1);
  if (unit === undefined || !/^\d{1,8}$/.test(digits)) {
    const rule = 'must be 1 to 8 digits and one of H, M, S, m, u, n';
    throw new RpcError(status.INVALID_ARGUMENT, `Metadata "grpc-timeout" is "${text}", and ${rule}.`);
  }
  return Math.ceil(Number(digits) * unit);
}

export class FieldMetadata implements CallMetadata {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  get(name: string): string[] {
    const value = fieldOf(this.#fields, name);
    return value === undefined ? [] : [value];
  }
}

/**
 * The last fields of an answer that failed.
 * @param only nothing was answered before
 */
export function statusBlock(
  { code, details, metadata }: Pick<StatusObject, 'code' | 'details' | 'metadata'>,
  only = true,
): Buffer {
  const more = Object.entries(metadata.toHttp2Headers()).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, String(one)] as const),
  );
  const first = only ? [CONTENT_TYPE, ['grpc-accept-encoding', ENCODING_NAMES] as const] : [];
  return fieldBlock(only, [...first, ['grpc-status', String(code)], ['grpc-message', encodeURI(details)], ...more]);
}
