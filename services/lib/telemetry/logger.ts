import { type DestinationStream, type Logger, pino } from 'pino';
import { sourceStack } from './stack.ts';
import { traceFields } from './trace.ts';

export type { Logger };

/** Fields that must never be readable in a log, at the top of an entry or one level down. */
const HIDDEN = [
  'authorization',
  'password',
  'secret',
  'token',
  'writeKey',
  'email',
  'phone',
  'redisUrl',
  'natsUrl',
  'smtpUrl',
];

export interface LoggerOptions {
  readonly service: string;
  readonly replica: string;
  readonly level: string;
  /** Where lines go; stdout when left out. */
  readonly destination?: DestinationStream;
}

/** JSON lines on stdout, with service and replica, and the trace they belong to. Never log requests, traits or identifiers: redaction is the last net. */
export function createLogger({ service, replica, level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service, replica },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: traceFields,
    serializers: { err: errorFields },
    redact: { paths: HIDDEN.flatMap((field) => [field, `*.${field}`]), censor: '[hidden]' },
  };
  // Synchronous, so that the last words before an exit are not lost.
  return pino(options, destination ?? pino.destination({ dest: 1, sync: true }));
}

/** What pino tells of an error, with its stack in our sources. */
function errorFields(error: Error): unknown {
  const fields: unknown = pino.stdSerializers.err(error);
  if (!(fields instanceof Object && 'stack' in fields && typeof fields.stack === 'string')) return fields;
  return { ...fields, stack: sourceStack(fields.stack) };
}
