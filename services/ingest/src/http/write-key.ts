import type { IncomingHttpHeaders } from 'node:http';
import type { WriteKeys } from '#lib/config/write-keys.ts';

/** The source of a write key, the absence of a key, or a key nobody has. */
export type Claim = { readonly source: string } | 'absent' | 'unknown';

/**
 * Who sends, by what the head of the request says: Basic (the key as user name), Bearer, X-Write-Key, or the parameter
 * `writeKey` of clients that cannot set headers.
 */
export function claimOf(headers: IncomingHttpHeaders, query: string | undefined, keys: WriteKeys): Claim {
  let absent = true;
  for (const key of keysOf(headers, query)) {
    absent = false;
    const source = keys.sourceOf(key);
    if (source !== undefined) return { source };
  }
  return absent ? 'absent' : 'unknown';
}

function* keysOf({ authorization, ...headers }: IncomingHttpHeaders, query: string | undefined): Generator<string> {
  const basic = /^Basic +([a-z0-9+/_=-]{1,1000})$/i.exec(authorization ?? '')?.[1];
  if (basic !== undefined) {
    const pair = Buffer.from(basic, 'base64').toString('latin1');
    // Keys of two parts, id and secret, are sent as user and password.
    if (!pair.endsWith(':')) yield pair;
    yield pair.split(':', 1)[0] ?? '';
  }
  const bearer = /^Bearer +(\S{1,512})$/i.exec(authorization ?? '')?.[1];
  if (bearer !== undefined) yield bearer;
  const header = headers['x-write-key'];
  if (typeof header === 'string' && header !== '') yield header;
  const parameter = query === undefined ? null : new URLSearchParams(query).get('writeKey');
  if (parameter !== null && parameter !== '') yield parameter;
}
