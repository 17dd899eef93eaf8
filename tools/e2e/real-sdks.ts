import { Analytics } from '@segment/analytics-node';
import { expect, test } from 'vitest';
import type { GetProfileResponse } from '#gen/recur/profile/v1/profile_service.ts';
import { sql } from '#tools/library/sql.ts';
import type { ShopCluster } from './shop-cluster.ts';

/** What the SDKs shops have in their code already send arrives in the profile and in SQL. */
export function realSdks(theShop: () => ShopCluster): void {
  test('@segment/analytics-node', async () => {
    const shop = theShop();
    const { ingestHttp, writeKeys } = shop.endpoints;
    const analytics = new Analytics({ writeKey: writeKeys.web as string, host: ingestHttp, flushInterval: 20 });
    const failures: unknown[] = [];
    analytics.on('error', (error) => failures.push(error));
    analytics.identify({ userId: 'segment-1', traits: { email: 'Wei@Example.com', plan: 'gold' } });
    analytics.page({ userId: 'segment-1', name: 'Home' });
    analytics.track({
      userId: 'segment-1',
      event: 'Order Completed',
      properties: { order_id: 's-1', total: 15.3, products: [{ product_id: 'tea', price: 5.1, quantity: 3 }] },
    });
    await analytics.closeAndFlush();
    expect(failures).toEqual([]);
    await shop.quiescence.reached("Segment's events to have all their effects");

    const { profile } = await byIdentifier(shop, 'email', 'wei@example.com');
    expect(profile).toMatchObject({ identified: true, sources: ['web'] });
    expect(profile?.orders).toMatchObject({ placed: 1, grossMicros: 15_300_000 });
    expect(profile?.traits.find(({ name }) => name === 'plan')?.valueJson).toBe('"gold"');
    expect(profile?.events.map(({ name }) => name).sort()).toEqual(['Order Completed', 'page']);
    // The id of the shop leads to the same customer as the address.
    expect((await byIdentifier(shop, 'user_id', 'segment-1')).profile?.customerId).toBe(profile?.customerId);
    expect(await rowsOf(shop, profile?.customerId)).toEqual([
      { type: 'identify', name: '', source: 'web' },
      { type: 'page', name: 'Home', source: 'web' },
      { type: 'track', name: 'Order Completed', source: 'web' },
    ]);
    const { events } = await shop.api.profile.listEvents({
      customerId: profile?.customerId ?? '',
      pageSize: 10,
      pageToken: '',
      names: [],
      beforeMs: 0,
    });
    expect(events.map(({ name }) => name).sort()).toEqual(['', 'Home', 'Order Completed']);
  });

  test('@rudderstack/rudder-sdk-node', async () => {
    const shop = theShop();
    const { ingestHttp, writeKeys } = shop.endpoints;
    const { default: RudderAnalytics } = await import('@rudderstack/rudder-sdk-node');
    const rudder = new RudderAnalytics(writeKeys.mini_program as string, {
      dataPlaneUrl: ingestHttp,
      flushInterval: 20,
    });
    rudder.identify({ userId: 'rudder-1', traits: { phone: '13800138000', city: 'Hangzhou' } });
    rudder.page({ userId: 'rudder-1', name: 'Home' });
    rudder.track({
      userId: 'rudder-1',
      event: 'Product Viewed',
      properties: { product_id: 'cup', category: 'Tea ware' },
    });
    // The first leaves at once, the others together.
    await rudder.flush();
    await rudder.flush();
    await shop.quiescence.reached("RudderStack's events to have all their effects");

    const { profile } = await byIdentifier(shop, 'phone', '138 0013 8000');
    expect(profile).toMatchObject({ identified: true, sources: ['mini_program'] });
    expect(profile?.traits.find(({ name }) => name === 'city')?.valueJson).toBe('"Hangzhou"');
    expect(profile?.events.map(({ name }) => name).sort()).toEqual(['Product Viewed', 'page']);
    expect(profile?.categories).toMatchObject([{ name: 'Tea ware', viewed: 1 }]);
    expect((await byIdentifier(shop, 'user_id', 'rudder-1')).profile?.customerId).toBe(profile?.customerId);
    expect(await rowsOf(shop, profile?.customerId)).toEqual([
      { type: 'identify', name: '', source: 'mini_program' },
      { type: 'page', name: 'Home', source: 'mini_program' },
      { type: 'track', name: 'Product Viewed', source: 'mini_program' },
    ]);
  });
}

function byIdentifier({ api }: ShopCluster, type: string, value: string): Promise<GetProfileResponse> {
  return api.profile.getProfile({ customer: { $case: 'identifier', value: { type, value } }, readMask: undefined });
}

function rowsOf({ endpoints }: ShopCluster, customerId = ''): Promise<Record<string, unknown>[]> {
  return sql(
    endpoints.clickhouseHttp,
    `SELECT type, name, source FROM v_events WHERE customer_id = '${customerId}' ORDER BY type, name`,
  );
}
