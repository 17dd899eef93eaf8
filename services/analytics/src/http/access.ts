import type { ApiTokens } from '#lib/rpc/tokens.ts';
import { mayCall } from '#lib/rpc/tokens.ts';

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|\[?::1\]?)$/;

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/**
 * On the machine itself anybody may read, as with a ClickHouse just installed; a password must still be right. From outside
 * an API token whose scopes cover recur.analytics is the password.
 */
export function readerAccess(listenHost: string, tokens: ApiTokens): (user: string, password: string) => boolean {
  return (_, password) => {
    if (password === '') return isLoopback(listenHost);
    const principal = tokens.authenticate(password);
    return principal !== undefined && mayCall(principal, 'recur.analytics.v1.AnalyticsService/Query');
  };
}

/** On the machine itself only its own names count; a network in front decides otherwise. */
export function hostCheck(listenHost: string): (host: string) => boolean {
  if (!isLoopback(listenHost)) return () => true;
  return (host) => isLoopback(host.replace(/:\d+$/, ''));
}
