import type * as sdkTypes from '@alicloud/dysmsapi20170525';
import { Temporal } from 'temporal-polyfill';
import type { CallResult, Found } from '../channel.ts';
import { type Codes, classify } from './classify.ts';
import type { Sms, SmsProvider, SmsQuery } from './sms.ts';

export interface AliyunOptions {
  readonly accessKeyId: string;
  readonly accessKeySecret: string;
  /** http(s)://host[:port]; the provider's own when left out. */
  readonly endpoint?: string | undefined;
  /** Longest a call may take; 10 s when left out. */
  readonly callMs?: number | undefined;
}

/** Answers that mean: nothing was sent, and a later attempt may work. */
const LATER = [
  ...['Throttling', 'isv.BUSINESS_LIMIT_CONTROL', 'isv.AMOUNT_NOT_ENOUGH', 'isv.OUT_OF_SERVICE', 'ServiceUnavailable'],
  ...['isp.RAM_PERMISSION_DENY', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'Forbidden', 'IncompleteSignature'],
];
const CODES: Codes = { later: LATER, lost: ['isp.SYSTEM_ERROR', 'InternalError', 'UnknownError'] };

const PAGE = 50;
const MAX_PAGES = 5;
/** The provider's days. */
const ZONE = 'Asia/Shanghai';
const DAY_MS = 86_400_000;
type Sdk = typeof sdkTypes;
type Client = InstanceType<Sdk['default']['default']>;

/** Aliyun SMS (dysmsapi 2017-05-25) by its SDK. It takes no idempotency key: OutId is how a message is known again. */
export class AliyunSms implements SmsProvider {
  private readonly sdk: Sdk;
  private readonly client: Client;

  private constructor(sdk: Sdk, client: Client) {
    this.sdk = sdk;
    this.client = client;
  }

  /** The SDK is some hundred files: loaded only where it is used. */
  static async open({ accessKeyId, accessKeySecret, endpoint, callMs = 10_000 }: AliyunOptions): Promise<AliyunSms> {
    const [sdk, { $OpenApiUtil }] = await Promise.all([
      import('@alicloud/dysmsapi20170525'),
      import('@alicloud/openapi-core'),
    ]);
    // CommonJS inside: its default export is one step further in, unless whoever loads it went there already.
    const exported: unknown = sdk.default;
    const Client = (
      typeof exported === 'function' ? exported : (exported as { default: unknown }).default
    ) as Sdk['default']['default'];
    const url = new URL(endpoint ?? 'https://dysmsapi.aliyuncs.com');
    const config = new $OpenApiUtil.Config({
      ...{ accessKeyId, accessKeySecret, regionId: 'cn-hangzhou' },
      ...{ endpoint: url.host, protocol: url.protocol === 'http:' ? 'HTTP' : 'HTTPS' },
      ...{ connectTimeout: callMs, readTimeout: callMs },
    });
    return new AliyunSms(sdk, new Client(config));
  }

  async send(sms: Sms): Promise<CallResult> {
    const request = new this.sdk.SendSmsRequest({
      phoneNumbers: numberOf(sms.to),
      signName: sms.signature,
      templateCode: sms.template,
      templateParam: JSON.stringify(sms.parameters),
      outId: sms.reference,
    });
    try {
      const { body } = await this.client.sendSms(request);
      if (body?.code === 'OK') return { kind: 'accepted', providerId: body.bizId ?? '' };
      return classify({ code: body?.code ?? '' }, 'aliyun', CODES);
    } catch (error) {
      return classify(error as { code?: unknown; statusCode?: unknown }, 'aliyun', CODES);
    }
  }

  async find({ to, sinceMs, isIt }: SmsQuery): Promise<Found> {
    for (const sendDate of daysFrom(sinceMs, Date.now())) {
      for (let page = 1; page <= MAX_PAGES; page++) {
        const details = await this.page(numberOf(to), sendDate, page);
        if (details.some(({ outId }: { outId?: string }) => outId !== undefined && isIt(outId)))
          return { kind: 'has', providerId: '', reason: 'found by its OutId' };
        if (details.length < PAGE) break;
      }
    }
    return { kind: 'not seen' };
  }

  private async page(phoneNumber: string, sendDate: string, currentPage: number) {
    const request = new this.sdk.QuerySendDetailsRequest({ phoneNumber, sendDate, pageSize: PAGE, currentPage });
    const { body } = await this.client.querySendDetails(request).catch((error: { code?: unknown }) => {
      // Its message quotes the number.
      throw new Error(`the query failed: ${String(error.code ?? 'no answer').slice(0, 64)}`);
    });
    if (body?.code !== 'OK') throw new Error(`the query was refused: ${String(body?.code).slice(0, 64)}`);
    return body.smsSendDetailDTOs?.smsSendDetailDTO ?? [];
  }
}

/** Eleven digits within mainland China, else country code and number. */
function numberOf(e164: string): string {
  return e164.startsWith('+86') ? e164.slice(3) : e164.slice(1);
}

/** yyyyMMdd, from one moment to the other; at most the three last days. */
function daysFrom(sinceMs: number, nowMs: number): string[] {
  const days: string[] = [];
  for (let ms = Math.max(sinceMs, nowMs - 2 * DAY_MS); ; ms += DAY_MS) {
    const last = ms >= nowMs;
    const day = Temporal.Instant.fromEpochMilliseconds(last ? nowMs : ms)
      .toZonedDateTimeISO(ZONE)
      .toPlainDate();
    const text = day.toString().replaceAll('-', '');
    if (!days.includes(text)) days.push(text);
    if (last) return days;
  }
}
