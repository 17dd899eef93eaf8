import type { LoggerService } from '@nestjs/common';
import type { Logger } from '#lib/telemetry/logger.ts';

/** Nest's own messages, as JSON lines like all others. What it tells about starting is only of interest when debugging. */
export class NestLogger implements LoggerService {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(message: unknown, context?: string): void {
    this.#logger.debug({ context }, String(message));
  }
  warn(message: unknown, context?: string): void {
    this.#logger.warn({ context }, String(message));
  }
  error(message: unknown, stack?: string, context?: string): void {
    this.#logger.error({ context, stack }, String(message));
  }
  debug(message: unknown, context?: string): void {
    this.#logger.debug({ context }, String(message));
  }
  verbose(message: unknown, context?: string): void {
    this.#logger.trace({ context }, String(message));
  }
  fatal(message: unknown, context?: string): void {
    this.#logger.fatal({ context }, String(message));
  }
}
