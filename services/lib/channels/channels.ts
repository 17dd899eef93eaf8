/**
 * Kinds of addresses. The trait of an identify event that sets each has the same name, and is personal wherever it stands.
 * An OpenID is one person within one app, so each kind is of one app of the shop: its official account, its mini-program.
 */
export const ADDRESS_KINDS = [
  ...(['email', 'phone', 'openid_account', 'openid_mini', 'wecom_external_userid'] as const),
  ...(['fcm_token', 'apns_token', 'web_push_subscription'] as const),
];
export type AddressKind = (typeof ADDRESS_KINDS)[number];

/** Addresses that say who somebody is and have no form of their own to be brought into: what they are as traits, they are as identifiers. */
export const PLAIN_IDENTIFIERS: readonly AddressKind[] = ['openid_account', 'openid_mini', 'wecom_external_userid'];

export interface ChannelKind {
  /** What a customer must have to be reached; undefined: nothing, the message goes to a system. */
  readonly address?: AddressKind;
}

/** Every channel there is, as templates, journeys and consents name it. Which of them a cluster can use depends on its configuration. */
export const CHANNELS: ReadonlyMap<string, ChannelKind> = new Map<string, ChannelKind>([
  ['email', { address: 'email' }],
  ['sms', { address: 'phone' }],
  ['webhook', {}],
  // Template messages and subscription notices of an official account, and those of a mini-program.
  ['wechat_template', { address: 'openid_account' }],
  ['wechat_subscribe', { address: 'openid_account' }],
  ['wechat_mini', { address: 'openid_mini' }],
  ['wecom', { address: 'wecom_external_userid' }],
  ['fcm', { address: 'fcm_token' }],
  ['apns', { address: 'apns_token' }],
  ['web_push', { address: 'web_push_subscription' }],
]);

/** For errors: "email, sms, …". */
export const CHANNEL_NAMES: string = [...CHANNELS.keys()].join(', ');
