import type { status } from '@grpc/grpc-js';
import type { Api } from '#tools/library/api.ts';

/** A call that must be refused: with this code, and with words that match. */
export type BadCall = readonly [what: string, call: (api: Api) => Promise<unknown>, code: status, says: RegExp];

/** A customer who does not exist. */
export const NOBODY = '01ZZZZZZZZZZZZZZZZZZZZZZZZ';
export const KB = 1024;

export const json = (text: string) => Buffer.from(text);
