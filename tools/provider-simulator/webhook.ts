import { Webhook } from 'standardwebhooks';
import type { Answer, Call, Desk, Wire } from './wire.ts';

/** A receiver of signed webhooks under /webhook/…; it sorts out repeats by their id, as the specification asks. */
export class WebhookWire implements Wire {
  readonly provider = 'webhook';
  private readonly verifier: Webhook;

  constructor(secret: string) {
    this.verifier = new Webhook(secret);
  }

  takes({ url }: Call): boolean {
    return url.pathname.startsWith('/webhook/');
  }

  answer({ url, headers, body }: Call, desk: Desk): Answer | undefined {
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return { status: 429, body: {} };
      case 'fail':
        return { status: 500, body: {} };
      case 'refuse':
        return { status: 422, body: {} };
    }
    if (url.pathname === '/webhook/elsewhere')
      return { status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' }, body: {} };
    let content: unknown;
    try {
      content = this.verifier.verify(body, headers as Record<string, string>);
    } catch {
      return { status: 401, body: { error: 'the signature is wrong' } };
    }
    const id = String(headers['webhook-id']);
    if (!desk.accepted.some((m) => m.provider === this.provider && m.providerId === id)) {
      const reference = String((content as { idempotency_key?: unknown }).idempotency_key ?? '');
      desk.accept({ provider: this.provider, to: url.pathname, reference, providerId: id, content });
    }
    return desk.fate === 'lose' ? undefined : { status: 200, body: {} };
  }
}
