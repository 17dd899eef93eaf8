import type { MessagingConfig, PushConfig, SmsConfig, WechatConfig } from '../config.ts';
import type { AppKey } from '../core/credentials.ts';
import type { Links } from '../links/mark-up.ts';
import type { Tokens } from '../links/tokens.ts';
import type { SentIndex } from '../store/sent-index.ts';
import type { TaskLedger } from '../store/task-ledger.ts';
import type { Channel } from './channel.ts';
import type { Composer } from './email/compose.ts';
import { EmailChannel } from './email/email.ts';
import { SentLookup } from './email/lookup.ts';
import type { SmtpTransport } from './email/smtp.ts';
import { ApnsChannel } from './push/apns.ts';
import { FcmChannel } from './push/fcm.ts';
import { WebPushChannel } from './push/web-push.ts';
import { AliyunSms } from './sms/aliyun.ts';
import { SmsChannel, type SmsProvider } from './sms/sms.ts';
import { TencentSms } from './sms/tencent.ts';
import { WebhookChannel } from './webhook/webhook.ts';
import { WechatChannel } from './wechat/wechat.ts';
import { openWechat } from './wechat/wechat-api.ts';
import { openWecom, WecomChannel } from './wecom/wecom.ts';
import type { Writer } from './writer.ts';

/** Every channel this process is configured for, by name. */
export type Channels = ReadonlyMap<string, Channel>;

export interface ChannelParts {
  readonly writer: Writer;
  readonly composer: Composer;
  readonly transport: SmtpTransport;
  readonly tokens: Tokens;
  /** Addresses that lead back here. */
  readonly links?: Links | undefined;
  readonly sent: SentIndex;
  readonly ledger: TaskLedger;
}

const WEBHOOK_CONNECTIONS = 16;

export async function openChannels(c: MessagingConfig, parts: ChannelParts): Promise<Channels> {
  const lookup = c.smtpLookupUrl === undefined ? undefined : new SentLookup(c.smtpLookupUrl);
  const channels: Channel[] = [new EmailChannel({ ...parts, connections: c.smtpConnections, lookup }) as Channel];
  if (c.sms) {
    const { connections, perSecond } = c.sms;
    const provider = await openSms(c.sms);
    channels.push(new SmsChannel({ ...parts, provider, connections, perSecond }) as Channel);
  }
  channels.push(...(wechatChannels(c.wechat, parts) as Channel[]));
  if (c.wecom) {
    const { sender, connections, perSecond } = c.wecom;
    const { writer, ledger } = parts;
    const wecom = { api: openWecom(c.wecom), writer, ledger, sender, connections, perSecond };
    channels.push(new WecomChannel(wecom) as Channel);
  }
  channels.push(...((await pushChannels(c.push, parts)) as Channel[]));
  if (c.webhookSecrets) {
    const { webhookSecrets: secrets } = c;
    channels.push(new WebhookChannel({ ...parts, secrets, connections: WEBHOOK_CONNECTIONS }) as Channel);
  }
  return new Map(channels.map((channel) => [channel.name, channel]));
}

function openSms({ provider, credentials: { id, secret }, appId, endpoint }: SmsConfig): Promise<SmsProvider> {
  if (provider === 'tencent') return TencentSms.open({ secretId: id, secretKey: secret, appId, endpoint });
  return AliyunSms.open({ accessKeyId: id, accessKeySecret: secret, endpoint });
}

function wechatChannels({ account, mini, ...at }: WechatConfig, { writer, sent }: ChannelParts): WechatChannel[] {
  const { connections, perSecond } = at;
  const channels: WechatChannel[] = [];
  const open = (app: AppKey) => {
    const api = openWechat({ app, ...at });
    return { api, writer, connections, perSecond, sent: app.push && sent };
  };
  if (account) {
    // One token for both kinds of messages.
    const parts = open(account);
    channels.push(new WechatChannel('wechat_template', parts), new WechatChannel('wechat_subscribe', parts));
  }
  if (mini) channels.push(new WechatChannel('wechat_mini', open(mini)));
  return channels;
}

async function pushChannels(c: PushConfig, { writer, tokens, links }: ChannelParts): Promise<unknown[]> {
  const parts = { writer, tokens, links, connections: c.connections, perSecond: c.perSecond };
  const channels: unknown[] = [];
  if (c.fcm) channels.push(await FcmChannel.open({ ...parts, account: c.fcm, endpoint: c.fcmEndpoint }));
  if (c.apns) channels.push(await ApnsChannel.open({ ...parts, ...c.apns }));
  if (c.vapid) channels.push(new WebPushChannel({ ...parts, vapid: c.vapid }));
  return channels;
}
