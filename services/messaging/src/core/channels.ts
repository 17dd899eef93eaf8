import type { Address, CustomerState } from '#gen/recur/messaging/v1/state.ts';

/** Kinds of addresses; the trait of an identify event that sets each has the same name. */
export type AddressKind = 'email' | 'phone';

export interface ChannelKind {
  /** What a customer must have to be reached; undefined: nothing, the message goes to a system. */
  readonly address?: AddressKind;
}

/** Every channel there is. Which of them a cluster can use depends on its configuration. */
export const CHANNELS: ReadonlyMap<string, ChannelKind> = new Map([
  ['email', { address: 'email' }],
  ['sms', { address: 'phone' }],
  ['webhook', {}],
]);

export const ADDRESS_KINDS: ReadonlySet<string> = new Set<AddressKind>(['email', 'phone']);

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
