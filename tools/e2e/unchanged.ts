import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect } from 'vitest';
import type { ShopCluster } from './shop-cluster.ts';
import { digestTables } from './tables.ts';

/**
 * Everything a call could have changed: how far each stream has come (events, log, dead letters, and the buckets that
 * definitions are in), what is in the tables, what was mailed.
 */
async function stateOf({ endpoints, api }: ShopCluster): Promise<object> {
  const nats = await connect({ servers: endpoints.natsUrl });
  try {
    const streams: Record<string, number> = {};
    for await (const { config, state } of (await jetstreamManager(nats)).streams.list()) {
      streams[config.name] = state.last_seq;
    }
    return {
      streams,
      segments: (await api.segmentation.listSegments({ pageSize: 1000, pageToken: '' })).segments,
      rfm: (await api.segmentation.getRfmSettings({})).settings,
      lifecycle: (await api.segmentation.getLifecycleSettings({})).settings,
      journeys: (await api.journey.listJourneys({ pageSize: 100, pageToken: '' })).journeys,
      templates: (await api.messaging.listTemplates({ pageSize: 200, pageToken: '' })).templates,
      messaging: (await api.messaging.getMessagingSettings({})).settings,
      tables: await digestTables(endpoints.clickhouseHttp),
      mails: await (await fetch(`${endpoints.mailboxHttp}/api/v1/count`)).json(),
    };
  } finally {
    await nats.close();
  }
}

/** Remembers how everything stands; the result fails the test when something has moved since. */
export async function watchState(shop: ShopCluster): Promise<() => Promise<void>> {
  const before = await stateOf(shop);
  return async () => expect(await stateOf(shop)).toEqual(before);
}
