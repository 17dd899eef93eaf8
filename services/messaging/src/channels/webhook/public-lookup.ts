import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPublicAddress } from '../../core/webhook-url.ts';

/** All addresses of a name. */
export type Lookup = (name: string) => Promise<readonly LookupAddress[]>;

export const BLOCKED = 'ERR_NOT_PUBLIC';

const system: Lookup = (name) =>
  new Promise((resolve, reject) => {
    systemLookup(name, { all: true, verbatim: true }, (error, found) => (error ? reject(error) : resolve(found)));
  });

/**
 * For sockets: the name's addresses, or an error when any of them is not public. The socket connects to what this returned
 * and asks nobody again, so a name that changes its answer between look and connection gains nothing.
 */
export function publicLookup(resolve: Lookup = system, allows = isPublicAddress): LookupFunction {
  return (name, options, done) => {
    resolve(name).then(
      (found) => {
        const bad = found.length === 0 || found.some(({ address }) => !allows(address));
        const error = Object.assign(new Error('not a public address'), { code: BLOCKED });
        if (bad) return done(error, '', 0);
        if (options.all) return done(null, found as LookupAddress[]);
        const [first] = found as [LookupAddress];
        return done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, '', 0),
    );
  };
}
