import { status } from '@grpc/grpc-js';

/** One field of a request that breaks a rule. `field` is its path with dots, in proto names: `segment.rule.days`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface RpcErrorOptions {
  readonly violations?: readonly FieldViolation[];
  readonly retryAfterMs?: number;
  /** Kept for the log; never sent. */
  readonly cause?: unknown;
}

/**
 * An error with a meaning for the caller. Throw one of the functions below from anything a handler calls; whatever else is
 * thrown reaches the caller as INTERNAL with an id and nothing more.
 */
export class RpcError extends Error {
  readonly code: status;
  readonly violations: readonly FieldViolation[];
  /** Wait at least this long before trying again. */
  readonly retryAfterMs: number | undefined;

  constructor(code: status, message: string, options: RpcErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'RpcError';
    this.code = code;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The request is wrong whatever the state of the system is. */
export function invalidArgument(violations: readonly FieldViolation[], message?: string): RpcError {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new RpcError(status.INVALID_ARGUMENT, message ?? text, { violations });
}

/** @param what for the message: `segment "vip"` */
export function notFound(what: string): RpcError {
  return new RpcError(status.NOT_FOUND, `There is no ${what}.`);
}

/** @param what for the message: `segment "vip"` */
export function alreadyExists(what: string): RpcError {
  return new RpcError(status.ALREADY_EXISTS, `There is a ${what} already.`);
}

/** The system is not in the state the call needs; repeating it will not help. */
export function failedPrecondition(message: string): RpcError {
  return new RpcError(status.FAILED_PRECONDITION, message);
}

/** Somebody else changed it meanwhile: read it again and start over. */
export function aborted(message: string): RpcError {
  return new RpcError(status.ABORTED, message);
}

/** Too much for now, or for ever when `retryAfterMs` is left out. */
export function resourceExhausted(retryAfterMs?: number, message = 'Too much at once.'): RpcError {
  return new RpcError(status.RESOURCE_EXHAUSTED, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

/** Something this service needs is away; the same call may succeed soon. */
export function unavailable(message: string, options: RpcErrorOptions = {}): RpcError {
  return new RpcError(status.UNAVAILABLE, message, options);
}

export function unauthenticated(message: string): RpcError {
  return new RpcError(status.UNAUTHENTICATED, message);
}

export function permissionDenied(message: string): RpcError {
  return new RpcError(status.PERMISSION_DENIED, message);
}

export function unimplemented(message: string): RpcError {
  return new RpcError(status.UNIMPLEMENTED, message);
}

export function deadlineExceeded(): RpcError {
  return new RpcError(status.DEADLINE_EXCEEDED, 'The deadline passed.');
}

/** What a handler throws because its caller went away is no fault of this service. */
export function cancelled(cause?: unknown): RpcError {
  return cause instanceof RpcError ? cause : new RpcError(status.CANCELLED, 'The caller went away.', { cause });
}

export function malformed(): RpcError {
  return new RpcError(status.INVALID_ARGUMENT, 'The request is not a message of its type.');
}
