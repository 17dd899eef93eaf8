import { createHash, createHmac } from 'node:crypto';
import type { Accepted, Answer, Call, Desk, Wire } from './wire.ts';

export interface AliyunKey {
  readonly id: string;
  readonly secret: string;
}

/** Aliyun SMS: SendSms and QuerySendDetails of dysmsapi 2017-05-25, RPC style, signed with ACS3-HMAC-SHA256. */
export class AliyunWire implements Wire {
  readonly provider = 'aliyun';
  private readonly key: AliyunKey;
  private ids = 0;

  constructor(key: AliyunKey) {
    this.key = key;
  }

  takes({ headers }: Call): boolean {
    return headers['x-acs-version'] === '2017-05-25';
  }

  answer(call: Call, desk: Desk): Answer | undefined {
    const { searchParams: query } = call.url;
    if (!this.isSigned(call)) return refusal(403, 'SignatureDoesNotMatch');
    if (call.headers['x-acs-action'] === 'QuerySendDetails') return details(query, desk);
    if (call.headers['x-acs-action'] !== 'SendSms') return refusal(404, 'InvalidAction.NotFound');
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return refusal(400, 'Throttling.User');
      case 'fail':
        return refusal(500, 'InternalError');
      case 'refuse':
        return ok({ Code: 'isv.MOBILE_NUMBER_ILLEGAL' });
    }
    const [to = '', sign = '', template = ''] = ['PhoneNumbers', 'SignName', 'TemplateCode'].map(
      (p) => query.get(p) ?? '',
    );
    if (!/^\d{6,15}$/.test(to)) return ok({ Code: 'isv.MOBILE_NUMBER_ILLEGAL' });
    if (sign === '') return ok({ Code: 'isv.SMS_SIGNATURE_ILLEGAL' });
    if (!template.startsWith('SMS_')) return ok({ Code: 'isv.SMS_TEMPLATE_ILLEGAL' });
    const providerId = `biz-${++this.ids}`;
    const content = { sign, template, parameters: JSON.parse(query.get('TemplateParam') ?? '{}') };
    desk.accept({ provider: this.provider, to, reference: query.get('OutId') ?? '', providerId, content });
    return desk.fate === 'lose' ? undefined : ok({ Code: 'OK', BizId: providerId });
  }

  receipt({ to, reference, providerId, atMs }: Accepted, bounced: boolean): unknown {
    const time = new Date(atMs + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
    const fate = bounced
      ? { success: false, err_code: 'MK:0001', err_msg: '空号' }
      : { success: true, err_code: 'DELIVERED', err_msg: '用户接收成功' };
    const message = { phone_number: to, send_time: time, report_time: time, sms_size: '1' };
    return [{ ...message, ...fate, biz_id: providerId, out_id: reference }];
  }

  /** As the provider would: over the canonical request. */
  private isSigned({ method, url, headers, body }: Call): boolean {
    const match = /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
    if (!match || match[1] !== this.key.id) return false;
    const names = (match[2] ?? '').split(';');
    const query = [...url.searchParams].map(([k, v]) => `${encode(k)}=${encode(v)}`).sort();
    const lines = names.map((name) => `${name}:${String(headers[name] ?? '').trim()}\n`);
    const payload = createHash('sha256').update(body).digest('hex');
    const canonical = [method, url.pathname, query.join('&'), lines.join(''), names.join(';'), payload].join('\n');
    const text = `ACS3-HMAC-SHA256\n${createHash('sha256').update(canonical).digest('hex')}`;
    return createHmac('sha256', this.key.secret).update(text).digest('hex') === match[3];
  }
}

function details(query: URLSearchParams, { accepted, behaviour }: Desk): Answer {
  const size = Number(query.get('PageSize'));
  const from = (Number(query.get('CurrentPage')) - 1) * size;
  const before = Date.now() - behaviour.current.showAfterMs;
  const found = accepted.filter(
    (m) =>
      m.provider === 'aliyun' &&
      m.to === query.get('PhoneNumber') &&
      m.atMs <= before &&
      dayOf(m.atMs) === query.get('SendDate'),
  );
  const dtos = found.slice(from, from + size).map((m) => ({
    ...{ OutId: m.reference, PhoneNum: m.to, SendStatus: 3, ErrCode: 'DELIVERED', TemplateCode: 'SMS_', Content: '' },
  }));
  return ok({ Code: 'OK', TotalCount: String(found.length), SmsSendDetailDTOs: { SmsSendDetailDTO: dtos } });
}

function dayOf(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10).replaceAll('-', '');
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function ok(body: Record<string, unknown>): Answer {
  return { status: 200, body: { RequestId: 'simulated', Message: body.Code, ...body } };
}

function refusal(status: number, code: string): Answer {
  return { status, body: { Code: code, Message: code, RequestId: 'simulated' } };
}
