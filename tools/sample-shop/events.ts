import type { Product } from './catalogue.ts';
import type { Channel, Person } from './people.ts';

/** An event as a shop sends it (Segment), with the channel whose write key it goes through. */
export interface ShopEvent {
  readonly channel: Channel;
  readonly type: 'identify' | 'track' | 'page';
  readonly event?: string;
  readonly name?: string;
  readonly messageId: string;
  readonly timestamp: string;
  readonly userId?: string;
  readonly anonymousId?: string;
  readonly properties?: Record<string, unknown>;
  readonly traits?: Record<string, unknown>;
  readonly context?: Record<string, unknown>;
}

/** Who an event says it is from: what the channel knows of the person. */
export function identityOf(person: Person, channel: Channel, known: boolean, browser: number): Partial<ShopEvent> {
  const externalIds: { type: string; id: string }[] = [];
  if (channel === 'mini_program') {
    externalIds.push({ type: 'openid', id: person.openid });
    if (known) externalIds.push({ type: 'unionid', id: person.unionid });
  }
  if (channel === 'pos') externalIds.push({ type: 'member_no', id: person.memberNo });
  if (channel === 'tmall') externalIds.push({ type: 'shop_account_tmall', id: person.tmallAccount });
  const context = externalIds.length > 0 ? { context: { externalIds } } : {};
  if (channel !== 'web') return context;
  const anonymousId = person.browsers[browser % person.browsers.length] as string;
  return known ? { anonymousId, userId: person.userId } : { anonymousId };
}

/** What a person tells when registering at a channel. A shop assistant types "null" where there is no phone. */
export function traitsOf(person: Person, channel: Channel, blocked: boolean): Record<string, unknown> {
  const { firstName, lastName, city, locale } = person;
  const phone = blocked ? 'null' : person.phone;
  const contact = channel === 'pos' || channel === 'tmall' ? { phone } : { email: person.email, phone };
  return { ...contact, firstName, lastName, city, locale, timezone: 'Asia/Shanghai' };
}

export function productOf(p: Product): Record<string, unknown> {
  return { product_id: p.id, name: p.name, category: p.category, price: p.price };
}
