import { KINDS, type Receipt, type ReceiptKind } from './receipt.ts';
import type { Tokens } from './tokens.ts';

export const MAX_RECEIPTS = 1000;
const DAY_MS = 86_400_000;

/** What is wrong with a body, naming field and rule. */
export class BadReceiptError extends Error {}

/** Receipts of a request, and how many were about messages of nobody here: another cluster's, or made up. */
export interface Taken {
  readonly receipts: Receipt[];
  readonly foreign: number;
}

/** Numbers there are none of, by the codes of China's operators. Anything else may work another day. */
const NO_SUCH_NUMBER = new Set([
  'MK:0001',
  'MK:0013',
  'UNDELIVRD',
  'isv.MOBILE_NUMBER_ILLEGAL',
  'MOBILE_NOT_ON_SERVICE',
]);
/** China is at UTC+8 all year. */
const CHINA_MS = 8 * 3_600_000;

/** Aliyun's SmsReport: a list of what became of messages. What proves them ours is `out_id`, which only Recur can make. */
export function aliyunReceipts(body: unknown, tokens: Tokens, now: number): Taken {
  return each(body, 'the body', (item, at) => {
    const reference = tokens.read('receipt', textOf(item, 'out_id', at));
    if (!reference) return undefined;
    const timeMs = within(chinaTime(textOf(item, 'report_time', at)), now);
    if (item.success === true) return { ...reference, kind: 'delivered', timeMs };
    return { ...reference, ...bounceOf(textOf(item, 'err_code', at)), timeMs };
  });
}

/** Tencent Cloud's: a list too. `ext` is the SessionContext, where the account has it switched on; only Recur can make one. */
export function tencentReceipts(body: unknown, tokens: Tokens, now: number): Taken {
  return each(body, 'the body', (item, at) => {
    const reference = tokens.read('receipt', item.ext === undefined ? '' : textOf(item, 'ext', at));
    if (!reference) return undefined;
    const timeMs = within(chinaTime(textOf(item, 'user_receive_time', at)), now);
    if (textOf(item, 'report_status', at) === 'SUCCESS') return { ...reference, kind: 'delivered', timeMs };
    return { ...reference, ...bounceOf(textOf(item, 'errmsg', at)), timeMs };
  });
}

function chinaTime(text: string): number {
  return Date.parse(`${text.replace(' ', 'T')}Z`) - CHINA_MS;
}

function bounceOf(text: string): Pick<Receipt, 'kind' | 'bounceType' | 'reason'> {
  const code = text.slice(0, 64);
  return { kind: 'bounced', bounceType: NO_SUCH_NUMBER.has(code) ? 'hard' : 'soft', reason: code };
}

/** Recur's own form, for whatever provider a gateway of the shop speaks to: `{"receipts": [{"reference", "type", …}]}`. */
export function ownReceipts(body: unknown, tokens: Tokens, now: number): Taken {
  const list = typeof body === 'object' && body !== null ? (body as { receipts?: unknown }).receipts : undefined;
  return each(list, 'receipts', (item, at) => {
    const kind = textOf(item, 'type', at) as ReceiptKind;
    if (!KINDS.includes(kind)) throw new BadReceiptError(`${at}.type must be one of ${KINDS.join(', ')}`);
    const { time, bounce_type: bounceType, url, reason } = item;
    if (bounceType !== undefined && bounceType !== 'hard' && bounceType !== 'soft')
      throw new BadReceiptError(`${at}.bounce_type must be hard or soft`);
    const timeMs = time === undefined ? now : Date.parse(textOf(item, 'time', at));
    if (Number.isNaN(timeMs)) throw new BadReceiptError(`${at}.time must be a date and time of ISO 8601`);
    const reference = tokens.read('receipt', textOf(item, 'reference', at));
    if (!reference) return undefined;
    return {
      ...{ ...reference, kind, timeMs: within(timeMs, now) },
      ...(bounceType && { bounceType }),
      // A code, not a sentence: servers quote addresses.
      ...(typeof reason === 'string' && /^[\w.: -]{1,64}$/.test(reason) && { reason }),
      ...(typeof url === 'string' && { url: url.slice(0, 2000) }),
    };
  });
}

function each(
  list: unknown,
  name: string,
  read: (item: Record<string, unknown>, at: string) => Receipt | undefined,
): Taken {
  if (!Array.isArray(list)) throw new BadReceiptError(`${name} must be a list`);
  if (list.length > MAX_RECEIPTS)
    throw new BadReceiptError(`${name} must have at most ${MAX_RECEIPTS} items, has ${list.length}`);
  const receipts: Receipt[] = [];
  for (const [i, item] of list.entries()) {
    const at = `${name}[${i}]`;
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw new BadReceiptError(`${at} must be an object`);
    const receipt = read(item as Record<string, unknown>, at);
    if (receipt) receipts.push(receipt);
  }
  return { receipts, foreign: list.length - receipts.length };
}

function textOf(item: Record<string, unknown>, field: string, at: string): string {
  const value = item[field];
  if (typeof value !== 'string') throw new BadReceiptError(`${at}.${field} must be a text`);
  return value;
}

/** Clocks of providers are theirs: not after now, and not before messages are forgotten. */
export function within(timeMs: number, now: number): number {
  return Number.isNaN(timeMs) ? now : Math.min(now, Math.max(timeMs, now - 31 * DAY_MS));
}
