import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { BadRequest, RequestInfo, RetryInfo } from '#gen/google/rpc/error_details.ts';
import { Status } from '#gen/google/rpc/status.ts';
import { type FieldViolation, RpcError } from './errors.ts';

/** Where gRPC clients of every language look for a google.rpc.Status. */
const DETAILS = 'grpc-status-details-bin';
const TYPE = 'type.googleapis.com/google.rpc.';

// Both travel in headers, which many clients and proxies limit to 8 KB: the text percent-encoded, the details as base64.
const MAX_MESSAGE = 1_500;
const MAX_DETAILS = 2_700;
const MAX_TEXT = 1_000;

/** @param requestId names the log entry of an INTERNAL error */
export function toStatus(error: RpcError, requestId?: string): Pick<StatusObject, 'code' | 'details' | 'metadata'> {
  const message = clip(error.message, MAX_MESSAGE, encodedLength);
  const metadata = new Metadata();
  const details = detailsOf(error, requestId);
  if (details.length > 0) {
    metadata.set(DETAILS, Buffer.from(Status.encode({ code: error.code, message, details }).finish()));
  }
  return { code: error.code, details: message, metadata };
}

function detailsOf(error: RpcError, requestId: string | undefined): Status['details'] {
  const details: Status['details'] = [];
  const add = (name: string, bytes: Uint8Array) => details.push({ typeUrl: TYPE + name, value: Buffer.from(bytes) });
  if (error.violations.length > 0) {
    add('BadRequest', BadRequest.encode({ fieldViolations: fitting(error.violations) }).finish());
  }
  if (error.retryAfterMs !== undefined) {
    const ms = Math.max(0, Math.ceil(error.retryAfterMs));
    const retryDelay = { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
    add('RetryInfo', RetryInfo.encode({ retryDelay }).finish());
  }
  if (requestId !== undefined) add('RequestInfo', RequestInfo.encode({ requestId, servingData: '' }).finish());
  return details;
}

/** What a failed call told: the same RpcError the server threw, read back from the wire. */
export function fromStatus(error: ServiceError): RpcError {
  const violations: FieldViolation[] = [];
  let retryAfterMs: number | undefined;
  for (const { typeUrl, value } of readDetails(error)) {
    if (typeUrl === `${TYPE}BadRequest`) violations.push(...BadRequest.decode(value).fieldViolations);
    if (typeUrl === `${TYPE}RetryInfo`) {
      const delay = RetryInfo.decode(value).retryDelay;
      if (delay !== undefined) retryAfterMs = delay.seconds * 1000 + delay.nanos / 1_000_000;
    }
  }
  const options = { violations, cause: error };
  return new RpcError(
    error.code ?? status.UNKNOWN,
    error.details || error.message,
    retryAfterMs === undefined ? options : { ...options, retryAfterMs },
  );
}

function readDetails(error: ServiceError): Status['details'] {
  const [bytes] = error.metadata?.get(DETAILS) ?? [];
  if (!Buffer.isBuffer(bytes)) return [];
  try {
    return Status.decode(bytes).details;
  } catch {
    return []; // the code and the message still say what happened
  }
}

/** The first violations, as many as fit. */
function fitting(violations: readonly FieldViolation[]): FieldViolation[] {
  const fit: FieldViolation[] = [];
  let left = MAX_DETAILS;
  for (const violation of violations) {
    const field = clip(violation.field, MAX_TEXT, Buffer.byteLength);
    const description = clip(violation.description, MAX_TEXT, Buffer.byteLength);
    left -= Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    if (left < 0) break;
    fit.push({ field, description });
  }
  return fit;
}

/** At most so long when written, and without half characters, which neither encoding takes. */
function clip(text: string, limit: number, lengthOf: (text: string) => number): string {
  const whole = text.slice(0, limit).toWellFormed();
  if (text.length <= limit && lengthOf(whole) <= limit) return whole;
  let length = Math.floor((whole.length * limit) / Math.max(limit, lengthOf(whole)));
  while (lengthOf(whole.slice(0, length).toWellFormed()) > limit - 9) length -= 1;
  return `${whole.slice(0, length).toWellFormed()}…`;
}

function encodedLength(text: string): number {
  return encodeURIComponent(text).length;
}
