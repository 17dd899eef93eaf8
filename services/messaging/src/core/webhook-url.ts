import ipaddr from 'ipaddr.js';

const MAX_LENGTH = 500;
/** Names that lead into the machine or the network around it, wherever they are asked for. */
const INSIDE = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|arpa|svc|cluster)\.?$/i;

/** Why a webhook must not go there, as far as the text tells; undefined when it may. What its host resolves to is looked at later. */
export function webhookUrlProblem(text: string): string | undefined {
  if (text === '') return 'must not be empty';
  if (text.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters, has ${text.length}`;
  if (!/^https:\/\/[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) return 'must be an https:// address';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'must have no user or password';
  if (url.hash !== '') return 'must have no fragment';
  // The parser turns 0x7f.1, 2130706433 and the like into dotted numbers.
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  if (ipaddr.isValid(host)) return isPublicAddress(host) ? undefined : `must not go to ${host}: not a public address`;
  if (INSIDE.test(host) || !host.includes('.')) return 'must name a public host';
  return undefined;
}

/**
 * Whether an IP address belongs to the public internet: neither private, loopback, link-local, multicast nor otherwise set
 * aside; and no IPv6 form that carries an IPv4 address which is.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv6) {
    if (parsed.isIPv4MappedAddress()) return isPublicAddress(parsed.toIPv4Address().toString());
    // 6to4, Teredo and NAT64 reach IPv4 by another name; nobody needs them for a webhook.
    return parsed.range() === 'unicast' && parsed.parts[0] !== 0x64;
  }
  return parsed.range() === 'unicast';
}
