import type { Address, CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { ADDRESS_KINDS, type AddressKind, CHANNELS } from '#lib/channels/channels.ts';

const KINDS: ReadonlySet<string> = new Set(ADDRESS_KINDS);

/** Of devices and browsers: gone with the app, and given anew. */
export const DEVICE_KINDS: ReadonlySet<string> = new Set<AddressKind>([
  ...(['fcm_token', 'apns_token', 'web_push_subscription'] as const),
]);

/** Whether a trait of this name is an address. */
export function isAddressKind(name: string): boolean {
  return KINDS.has(name);
}

export function addressOfKind(state: CustomerState, kind: string): Address | undefined {
  return kind === 'email' ? state.email : Object.hasOwn(state.addresses, kind) ? state.addresses[kind] : undefined;
}

export function setAddressOfKind(state: CustomerState, kind: string, address: Address): void {
  if (kind === 'email') state.email = address;
  else state.addresses[kind] = address;
}

/** Where a channel reaches this customer; undefined: nowhere, or it needs no address. */
export function addressFor(state: CustomerState, channel: string): Address | undefined {
  const kind = CHANNELS.get(channel)?.address;
  return kind && addressOfKind(state, kind);
}

export function needsAddress(channel: string): boolean {
  return CHANNELS.get(channel)?.address !== undefined;
}
