import { createHash, createHmac } from 'node:crypto';
import type { Accepted, Answer, Call, Desk, Wire } from './wire.ts';

export interface TencentKey {
  readonly id: string;
  readonly secret: string;
  readonly appId: string;
}

/** As the provider: a request signed longer ago is refused. */
const MAX_AGE_S = 300;

/** Tencent Cloud SMS: SendSms and PullSmsSendStatusByPhoneNumber of 2021-01-11, signed with TC3-HMAC-SHA256. */
export class TencentWire implements Wire {
  readonly provider = 'tencent';
  private readonly key: TencentKey;
  private ids = 0;

  constructor(key: TencentKey) {
    this.key = key;
  }

  takes({ headers }: Call): boolean {
    return headers['x-tc-version'] === '2021-01-11';
  }

  answer(call: Call, desk: Desk): Answer | undefined {
    const fault = this.signatureFault(call);
    if (fault) return refusal(fault);
    const request = JSON.parse(call.body) as Record<string, unknown>;
    if (request.SmsSdkAppId !== this.key.appId) return refusal('InvalidParameterValue.SdkAppIdNotExist');
    const action = call.headers['x-tc-action'];
    if (action === 'PullSmsSendStatusByPhoneNumber') return statuses(request, desk);
    return action === 'SendSms' ? this.send(request, desk) : refusal('InvalidAction');
  }

  receipt({ to, reference, providerId, atMs }: Accepted, bounced: boolean): unknown {
    const time = new Date(atMs + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
    const fate = bounced
      ? { report_status: 'FAIL', errmsg: 'MK:0001', description: '空号' }
      : { report_status: 'SUCCESS', errmsg: 'DELIVRD', description: '用户短信送达成功' };
    const number = { nationcode: '86', mobile: to.replace(/^\+86/, '') };
    return [{ user_receive_time: time, ...number, ...fate, sid: providerId, ext: reference }];
  }

  private send(request: Record<string, unknown>, desk: Desk): Answer | undefined {
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return refusal('RequestLimitExceeded');
      case 'fail':
        return { status: 500, body: {} };
    }
    const { PhoneNumberSet, SignName: sign, TemplateId: template, TemplateParamSet: parameters } = request;
    const [to] = PhoneNumberSet as string[];
    const reference = String(request.SessionContext ?? '');
    const serial = `sid-${++this.ids}`;
    const status = (Code: string, SerialNo = ''): Answer => {
      const about = { SerialNo, PhoneNumber: to, Fee: Code === 'Ok' ? 1 : 0, SessionContext: reference };
      return ok({ SendStatusSet: [{ ...about, Code, Message: Code, IsoCode: 'CN' }] });
    };
    if (desk.fate === 'refuse') return status('FailedOperation.PhoneNumberInBlacklist');
    if (to === undefined || !/^\+\d{6,15}$/.test(to)) return status('InvalidParameterValue.IncorrectPhoneNumber');
    if (!sign) return status('FailedOperation.SignatureIncorrectOrUnapproved');
    if (!/^\d+$/.test(String(template))) return status('FailedOperation.TemplateIncorrectOrUnapproved');
    if (Buffer.byteLength(reference) >= 512) return status('InvalidParameterValue');
    desk.accept({
      provider: this.provider,
      to,
      reference,
      providerId: serial,
      content: { sign, template, parameters },
    });
    return desk.fate === 'lose' ? undefined : status('Ok', serial);
  }

  /** As the provider would: over the canonical request. Of the host it knows the name only: its port is that of https. */
  private signatureFault({ method, url, headers, body }: Call): string | undefined {
    const match =
      /^TC3-HMAC-SHA256 Credential=([^/]+)\/([\d-]+)\/(\w+)\/tc3_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      );
    if (!match) return 'AuthFailure.InvalidAuthorization';
    const [, id, date = '', service = '', names = '', signature] = match;
    const timestamp = Number(headers['x-tc-timestamp']);
    if (!(Math.abs(Date.now() / 1000 - timestamp) < MAX_AGE_S)) return 'AuthFailure.SignatureExpire';
    if (id !== this.key.id) return 'AuthFailure.SecretIdNotFound';
    const header = (name: string) => String(headers[name] ?? '').trim();
    const lines = names
      .split(';')
      .map((name) => `${name}:${name === 'host' ? header(name).replace(/:\d+$/, '') : header(name)}\n`);
    const request = [method, url.pathname, url.search.slice(1), lines.join(''), names, sha256(body)].join('\n');
    const text = ['TC3-HMAC-SHA256', timestamp, `${date}/${service}/tc3_request`, sha256(request)].join('\n');
    const key = hmac(hmac(hmac(`TC3${this.key.secret}`, date), service), 'tc3_request');
    return hmac(key, text).toString('hex') === signature ? undefined : 'AuthFailure.SignatureFailure';
  }
}

function statuses(request: Record<string, unknown>, { accepted, behaviour }: Desk): Answer {
  const before = Date.now() - behaviour.current.showAfterMs;
  const [from, to] = [Number(request.BeginTime) * 1000, Number(request.EndTime) * 1000];
  const found = accepted.filter(
    (m) =>
      m.provider === 'tencent' && m.to === request.PhoneNumber && m.atMs <= before && m.atMs >= from && m.atMs <= to,
  );
  const list = found.slice(0, Number(request.Limit)).map((m) => ({
    ...{ UserReceiveTime: Math.floor(m.atMs / 1000), CountryCode: '86', SubscriberNumber: m.to.replace(/^\+86/, '') },
    ...{ PhoneNumber: m.to, SerialNo: m.providerId, ReportStatus: 'SUCCESS', Description: 'DELIVRD' },
    SessionContext: m.reference,
  }));
  return ok({ PullSmsSendStatusSet: list });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** It says 200 to everything it understands. */
function ok(response: Record<string, unknown>): Answer {
  return { status: 200, body: { Response: { ...response, RequestId: 'simulated' } } };
}

function refusal(code: string): Answer {
  return ok({ Error: { Code: code, Message: code } });
}
