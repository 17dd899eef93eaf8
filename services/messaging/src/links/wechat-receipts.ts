import { BadReceiptError, within } from './provider-receipts.ts';
import { type Fields, listOf, partOf, type Value } from './push-body.ts';
import type { Receipt } from './receipt.ts';

/** What came of one message, which WeChat knows by a number of its own and the OpenID it went to. */
export interface Told extends Pick<Receipt, 'kind' | 'timeMs' | 'bounceType' | 'reason'> {
  readonly channel: string;
  readonly openId: string;
  /** MsgID, as the call that sent it was answered. */
  readonly providerId: string;
}

export type WechatApp = 'account' | 'mini';

/** What became of messages; nothing in all else an account's server is told: what customers write, who follows. */
export function wechatTold(app: WechatApp, fields: Fields, now: number): Told[] {
  switch (partOf(fields, 'Event')) {
    case 'TEMPLATESENDJOBFINISH': {
      const status = textOf(fields, 'Status');
      return [{ ...about(fields, fields, now), channel: 'wechat_template', ...fate(status === 'success', status) }];
    }
    case 'subscribe_msg_sent_event': {
      const channel = app === 'mini' ? 'wechat_mini' : 'wechat_subscribe';
      // As XML it is one deeper than as JSON.
      const list = partOf(partOf(fields, 'SubscribeMsgSentEvent'), 'List') ?? partOf(fields, 'List');
      return listOf(list).map((item) => {
        const code = textOf(item, 'ErrorCode');
        return { ...about(fields, item, now), channel, ...fate(code === '0', code) };
      });
    }
    default:
      return [];
  }
}

function about(fields: Fields, item: Value, now: number) {
  const providerId = textOf(item, 'MsgID', 'MsgId');
  const timeMs = within(Number(textOf(fields, 'CreateTime')) * 1000, now);
  return { openId: textOf(fields, 'FromUserName'), providerId, timeMs };
}

/** Who blocks an account today may not tomorrow: nothing is suppressed. */
function fate(delivered: boolean, why: string): Pick<Told, 'kind' | 'bounceType' | 'reason'> {
  if (delivered) return { kind: 'delivered' };
  const reason = `wechat ${/^[\w.: -]{1,40}$/.test(why) ? why : 'failed'}`;
  return { kind: 'bounced', bounceType: 'soft', reason };
}

function textOf(value: Value, ...names: readonly string[]): string {
  for (const name of names) {
    const text = partOf(value, name);
    if (typeof text === 'string' && text !== '' && text.length <= 128) return text;
  }
  throw new BadReceiptError(`${names[0]} must be a text of 1–128 characters`);
}
