import type { SendStatus } from 'tencentcloud-sdk-nodejs-sms/tencentcloud/services/sms/v20210111/sms_models.js';
import type { CallResult, Found } from '../channel.ts';
import { type Codes, classify } from './classify.ts';
import type { Sms, SmsProvider, SmsQuery } from './sms.ts';

export interface TencentOptions {
  /** SecretId and SecretKey. */
  readonly secretId: string;
  readonly secretKey: string;
  /** SmsSdkAppId: the application within the account, such as 1400006666. */
  readonly appId: string;
  /** http(s)://host[:port]; the provider's own when left out. */
  readonly endpoint?: string | undefined;
  /** Longest a call may take; 10 s when left out. */
  readonly callMs?: number | undefined;
}

/** Answers that mean: nothing was sent, and a later attempt may work. */
const LATER = [
  ...['RequestLimitExceeded', 'LimitExceeded', 'ResourceInsufficient', 'ResourceUnavailable', 'ServiceUnavailable'],
  ...['AuthFailure', 'UnauthorizedOperation', 'FailedOperation.InsufficientBalanceInSmsPackage'],
  // The two clocks are too far apart: nobody looked at the message.
  'InternalError.RequestTimeException',
];
const CODES: Codes = { later: LATER, lost: ['InternalError', 'UnknownError'] };

/** The most a query may ask for; there is no second page. */
const PAGE = 100;
/** Of what a query may ask for, and a minute for its clock. */
const QUERY_DAYS_MS = 7 * 86_400_000 - 60_000;

type Client = {
  SendSms(request: object): Promise<{ SendStatusSet?: SendStatus[] }>;
  PullSmsSendStatusByPhoneNumber(request: object): Promise<{
    PullSmsSendStatusSet?: { SessionContext?: string; SerialNo?: string }[];
  }>;
};

/** Tencent Cloud SMS (2021-01-11) by its SDK. It takes no idempotency key: SessionContext is how a message is known again. */
export class TencentSms implements SmsProvider {
  private readonly client: Client;
  private readonly appId: string;

  private constructor(client: Client, appId: string) {
    this.client = client;
    this.appId = appId;
  }

  /** The SDK is loaded only where it is used. */
  static async open({ secretId, secretKey, appId, endpoint, callMs = 10_000 }: TencentOptions): Promise<TencentSms> {
    const { sms } = await import('tencentcloud-sdk-nodejs-sms');
    const url = new URL(endpoint ?? 'https://sms.tencentcloudapi.com');
    const httpProfile = { endpoint: url.host, protocol: `${url.protocol}//`, reqTimeout: callMs / 1000 };
    const client = new sms.v20210111.Client({
      credential: { secretId, secretKey },
      region: 'ap-guangzhou',
      profile: { httpProfile },
    });
    return new TencentSms(client as unknown as Client, appId);
  }

  async send(sms: Sms): Promise<CallResult> {
    const values = inOrder(sms.parameters);
    if (!values) return { kind: 'refused', reason: 'tencent takes variables named 1, 2, 3 …' };
    try {
      const { SendStatusSet: [status] = [] } = await this.client.SendSms({
        PhoneNumberSet: [sms.to],
        SmsSdkAppId: this.appId,
        SignName: sms.signature,
        TemplateId: sms.template,
        TemplateParamSet: values,
        SessionContext: sms.reference,
      });
      if (status?.Code === 'Ok') return { kind: 'accepted', providerId: status.SerialNo ?? '' };
      return classify({ code: status?.Code ?? '' }, 'tencent', CODES);
    } catch (error) {
      return classify(answerOf(error), 'tencent', CODES);
    }
  }

  async find({ to, sinceMs, isIt }: SmsQuery): Promise<Found> {
    const now = Date.now();
    const request = {
      ...{ PhoneNumber: to, SmsSdkAppId: this.appId, Offset: 0, Limit: PAGE },
      BeginTime: Math.floor(Math.max(sinceMs, now - QUERY_DAYS_MS) / 1000),
      EndTime: Math.ceil(now / 1000) + 1,
    };
    const { PullSmsSendStatusSet: found = [] } = await this.client
      .PullSmsSendStatusByPhoneNumber(request)
      .catch((error: unknown) => {
        // Its message may quote the number.
        throw new Error(`the query failed: ${answerOf(error).code || 'no answer'}`);
      });
    const mine = found.find(({ SessionContext: context }) => context !== undefined && isIt(context));
    if (!mine) return { kind: 'not seen' };
    return { kind: 'has', providerId: mine.SerialNo ?? '', reason: 'found by its SessionContext' };
  }
}

/** Texts have places, not names: {1}, {2} … Undefined when the variables are not named so. */
function inOrder(parameters: Readonly<Record<string, string>>): string[] | undefined {
  const count = Object.keys(parameters).length;
  const values = Array.from({ length: count }, (_, i) => parameters[String(i + 1)]);
  return values.every((value) => value !== undefined) ? values : undefined;
}

/** The provider's code; else the system's, which the SDK leaves in the text of the error only. */
function answerOf(error: unknown): { code: string; statusCode: number | undefined } {
  const { code, httpCode, message } = error as { code?: unknown; httpCode?: number; message?: unknown };
  if (typeof code === 'string' && /^[A-Z]\w*[a-z][\w.]*$/.test(code)) return { code, statusCode: httpCode };
  const system = /\bE[A-Z_]{3,}\b/.exec(String(message))?.[0] ?? '';
  return { code: system, statusCode: httpCode };
}
