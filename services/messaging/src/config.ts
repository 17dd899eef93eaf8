import { type ConfigWith, readConfig } from '#lib/config/config.ts';
import { Settings } from '#lib/config/settings.ts';
import {
  type AccessKey,
  type AppKey,
  parseAccessKey,
  parseAppKey,
  parseCorpKey,
  parseWebhookSecrets,
} from './core/credentials.ts';
import { parseSender } from './core/header.ts';
import {
  parsePrivateKey,
  parseServiceAccount,
  parseVapidKeys,
  type ServiceAccount,
  type VapidKeys,
} from './core/push-credentials.ts';

export interface MessagingConfig extends ConfigWith<'sealingKeys' | 'smtpUrl' | 'mailFrom'> {
  /** SMTP_CONNECTIONS: connections kept open to the provider, 1–64, 8 unless set. */
  readonly smtpConnections: number;
  /** Text messages; undefined: this cluster sends none. */
  readonly sms: SmsConfig | undefined;
  readonly wechat: WechatConfig;
  /** Undefined: this cluster sends none. */
  readonly wecom: WecomConfig | undefined;
  readonly push: PushConfig;
  /** WEBHOOK_SECRETS_FILE: `whsec_…`, one a line, the current one first. Without it this cluster sends no webhooks. */
  readonly webhookSecrets: readonly string[] | undefined;
  /** PUBLIC_URL: https address by which the world reaches this service's /m/…; without it messages carry no links back here. */
  readonly publicUrl: string | undefined;
  /** RECEIPT_SECRETS_FILE: `whsec_…`, one a line: what receipts in Recur's own form are signed with. Without it none are taken. */
  readonly receiptSecrets: readonly string[] | undefined;
  /** MAIL_FROM, taken apart. */
  readonly sender: { readonly name: string; readonly address: string };
}

export interface SmsConfig extends Limits {
  /** SMS_PROVIDER */
  readonly provider: 'aliyun' | 'tencent';
  /** SMS_CREDENTIALS_FILE: a JSON object with `access_key_id` and `access_key_secret` (of Tencent: SecretId, SecretKey). */
  readonly credentials: AccessKey;
  /** SMS_APP_ID: SmsSdkAppId; only of Tencent, and needed there. */
  readonly appId: string;
  /** SMS_ENDPOINT: where the provider is, https://host; its own address unless set. */
  readonly endpoint: string | undefined;
}

export interface Limits {
  /** …_CONNECTIONS: calls under way at a time, 1–64, 8 unless set. */
  readonly connections: number;
  /** …_PER_SECOND: calls begun a second at most, 1–5,000, 50 unless set: what the provider allows your account. */
  readonly perSecond: number;
}

/** Of both apps; each counts for itself. */
export interface WechatConfig extends Limits {
  /**
   * WECHAT_ACCOUNT_FILE: a JSON object with `app_id` and `app_secret` of the official account, and, for receipts, `token` and
   * `encoding_aes_key` of its server. Undefined: there is none.
   */
  readonly account: AppKey | undefined;
  /** WECHAT_MINI_FILE: the same of the mini-program. */
  readonly mini: AppKey | undefined;
  /** WECHAT_ENDPOINT: where the provider is, https://host; its own address unless set. */
  readonly endpoint: string | undefined;
}

export interface WecomConfig extends Limits {
  /** WECOM_CREDENTIALS_FILE: a JSON object with `corp_id` and `corp_secret`. */
  readonly corp: AccessKey;
  /** WECOM_SENDER: userid of the member of staff who sends; unless set, the provider chooses. */
  readonly sender: string | undefined;
  /** WECOM_ENDPOINT: where the provider is, https://host; its own address unless set. */
  readonly endpoint: string | undefined;
  /** WECOM_RESULTS_SECONDS: how often it is asked what became of messages, 1–3,600 s, 20 unless set; here ms. */
  readonly resultsMs: number;
}

export interface PushConfig {
  /** FCM_SERVICE_ACCOUNT_FILE: as Firebase gives it out. Undefined: no FCM. */
  readonly fcm: ServiceAccount | undefined;
  /** FCM_ENDPOINT: where FCM is, https://host; Google's own unless set. */
  readonly fcmEndpoint: string | undefined;
  readonly apns: ApnsConfig | undefined;
  /** VAPID_KEYS_FILE: a JSON object with `subject`, `public_key` and `private_key`. Undefined: no web push. */
  readonly vapid: VapidKeys | undefined;
  /** PUSH_CONNECTIONS: calls under way at a time, of each of the three, 1–64, 16 unless set. */
  readonly connections: number;
  /** PUSH_PER_SECOND: calls begun a second at most, of each, 1–5,000, 500 unless set. */
  readonly perSecond: number;
}

export interface ApnsConfig {
  /** APNS_KEY_FILE: Apple's .p8. */
  readonly privateKey: string;
  /** APNS_KEY_ID */
  readonly keyId: string;
  /** APNS_TEAM_ID */
  readonly teamId: string;
  /** APNS_TOPIC: bundle id of the app. */
  readonly topic: string;
  /** APNS_ENDPOINT: where APNs is, https://host; Apple's own unless set. */
  readonly endpoint: string | undefined;
}

/** @throws ConfigError */
export function config(env: Readonly<Record<string, string | undefined>>): MessagingConfig {
  const settings = new Settings(env);
  const base = readConfig(settings, ['sealingKeys', 'smtpUrl', 'mailFrom']);
  const smtpConnections = settings.integer('SMTP_CONNECTIONS', { min: 1, max: 64, otherwise: 8 });
  const sender = senderOf(settings, base.mailFrom);
  const sms = smsOf(settings);
  const wechat = wechatOf(settings);
  const wecom = wecomOf(settings);
  const push = pushOf(settings);
  const webhookSecrets = settings.file('WEBHOOK_SECRETS_FILE', parseWebhookSecrets, { otherwise: undefined });
  const receiptSecrets = settings.file('RECEIPT_SECRETS_FILE', parseWebhookSecrets, { otherwise: undefined });
  const publicUrl = settings.url('PUBLIC_URL', ['https:', 'http:'], { otherwise: undefined });
  settings.finish();
  return { ...base, smtpConnections, sender, sms, wechat, wecom, push, webhookSecrets, receiptSecrets, publicUrl };
}

function senderOf(settings: Settings, mailFrom: string | undefined): MessagingConfig['sender'] {
  try {
    if (mailFrom !== undefined) return parseSender(mailFrom);
  } catch {
    settings.problem('MAIL_FROM', 'must be an address or "Name <address>"');
  }
  return { name: '', address: '' };
}

function smsOf(settings: Settings): SmsConfig | undefined {
  const provider = settings.oneOf('SMS_PROVIDER', ['aliyun', 'tencent'], { otherwise: undefined });
  const credentials = settings.file('SMS_CREDENTIALS_FILE', parseAccessKey, { otherwise: undefined });
  const endpoint = settings.url('SMS_ENDPOINT', ['http:', 'https:'], { otherwise: undefined });
  const appId = settings.text('SMS_APP_ID', { otherwise: '', pattern: /^\d{1,20}$/, rule: 'must be digits' });
  const limits = limitsOf(settings, 'SMS');
  if (provider === undefined) return undefined;
  if (credentials === undefined) settings.missing('SMS_CREDENTIALS_FILE');
  if (provider === 'tencent' && appId === '') settings.missing('SMS_APP_ID');
  return { provider, credentials: credentials ?? { id: '', secret: '' }, appId, endpoint, ...limits };
}

function wechatOf(settings: Settings): WechatConfig {
  const account = settings.file('WECHAT_ACCOUNT_FILE', parseAppKey, { otherwise: undefined });
  const mini = settings.file('WECHAT_MINI_FILE', parseAppKey, { otherwise: undefined });
  const endpoint = settings.url('WECHAT_ENDPOINT', ['http:', 'https:'], { otherwise: undefined });
  return { account, mini, endpoint, ...limitsOf(settings, 'WECHAT') };
}

function wecomOf(settings: Settings): WecomConfig | undefined {
  const corp = settings.file('WECOM_CREDENTIALS_FILE', parseCorpKey, { otherwise: undefined });
  const rule = { pattern: /^[\w.@-]{1,64}$/, rule: 'must be the userid of a member of staff' };
  const sender = settings.text('WECOM_SENDER', { ...rule, otherwise: undefined });
  const endpoint = settings.url('WECOM_ENDPOINT', ['http:', 'https:'], { otherwise: undefined });
  const limits = limitsOf(settings, 'WECOM');
  const resultsMs = settings.integer('WECOM_RESULTS_SECONDS', { min: 1, max: 3600, otherwise: 20 }) * 1000;
  return corp && { corp, sender, endpoint, resultsMs, ...limits };
}

function limitsOf(settings: Settings, prefix: string): Limits {
  return {
    connections: settings.integer(`${prefix}_CONNECTIONS`, { min: 1, max: 64, otherwise: 8 }),
    perSecond: settings.integer(`${prefix}_PER_SECOND`, { min: 1, max: 5000, otherwise: 50 }),
  };
}

function pushOf(settings: Settings): PushConfig {
  const urls = ['http:', 'https:'];
  return {
    fcm: settings.file('FCM_SERVICE_ACCOUNT_FILE', parseServiceAccount, { otherwise: undefined }),
    fcmEndpoint: settings.url('FCM_ENDPOINT', urls, { otherwise: undefined }),
    apns: apnsOf(settings),
    vapid: settings.file('VAPID_KEYS_FILE', parseVapidKeys, { otherwise: undefined }),
    connections: settings.integer('PUSH_CONNECTIONS', { min: 1, max: 64, otherwise: 16 }),
    perSecond: settings.integer('PUSH_PER_SECOND', { min: 1, max: 5000, otherwise: 500 }),
  };
}

function apnsOf(settings: Settings): ApnsConfig | undefined {
  const privateKey = settings.file('APNS_KEY_FILE', parsePrivateKey, { otherwise: undefined });
  const id = { otherwise: '', pattern: /^[A-Z0-9]{10}$/, rule: 'must be ten letters and digits' };
  const keyId = settings.text('APNS_KEY_ID', id);
  const teamId = settings.text('APNS_TEAM_ID', id);
  const bundle = { otherwise: '', pattern: /^[\w.-]{3,150}$/, rule: 'must be the bundle id of the app' };
  const topic = settings.text('APNS_TOPIC', bundle);
  const endpoint = settings.url('APNS_ENDPOINT', ['http:', 'https:'], { otherwise: undefined });
  if (privateKey === undefined) return undefined;
  for (const [name, value] of Object.entries({ APNS_KEY_ID: keyId, APNS_TEAM_ID: teamId, APNS_TOPIC: topic }))
    if (value === '') settings.missing(name);
  return { privateKey, keyId, teamId, topic, endpoint };
}
