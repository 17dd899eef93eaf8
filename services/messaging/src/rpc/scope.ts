import type { Template } from '#gen/recur/messaging/v1/template.ts';
import type { Scope } from '../render/render.ts';

interface Seen {
  readonly locale: string;
  readonly customer: Scope['customer'];
  readonly journey: Scope['journey'];
  readonly shopName: string;
}

/** What a template that is only looked at sees. */
export function scopeFor({ channel }: Template, { locale, customer, journey, shopName }: Seen): Scope {
  const about = { id: 'preview', purpose: 'marketing', channel, locale };
  const message = { ...about, unsubscribe_url: 'https://unsubscribe.example/' };
  return { customer, journey, message, shop: { name: shopName } };
}
