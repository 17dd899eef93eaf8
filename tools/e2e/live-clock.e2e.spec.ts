import { afterAll, beforeAll, describe } from 'vitest';
import { loadLibrary } from '#tools/library/load.ts';
import { badCalls } from './bad-calls.ts';
import { badEvents } from './bad-events.ts';
import { badQueries } from './bad-queries.ts';
import { realSdks } from './real-sdks.ts';
import { ShopCluster } from './shop-cluster.ts';

/** A cluster on the live clock, as `npm run up` starts it, with the ready-made library on: for what needs no history. */
let shop: ShopCluster;
beforeAll(async () => {
  shop = await ShopCluster.start({ clock: 'live', timeZone: 'Asia/Shanghai', supervise: true });
  const { segments, templates, journeys } = await loadLibrary(shop.api);
  await shop.quiescence.defined({
    segmentation: segments.length,
    journey: journeys.length,
    messaging: templates.length,
  });
});
afterAll(() => shop?.stop());

const theShop = () => shop;

describe('SDKs of others, with nothing changed but the host', () => realSdks(theShop));
describe('bad events by HTTP: refused with what is wrong, nothing changed', () => badEvents(theShop));
describe('bad calls by gRPC: refused with what is wrong, nothing changed', () => badCalls(theShop));
describe('bad queries: refused, nothing changed', () => badQueries(theShop));
