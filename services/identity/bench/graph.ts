// What an identifier takes in Redis: its own key, and its part of the customer's node. The store's own commits, on an empty Redis
// (REDIS_URL); customers with a browser, an e-mail and a phone. Prints one line of JSON for each number of identifiers asked for.
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { customerId } from '../src/core/customer-id.ts';
import { identifierKey } from '../src/core/event-keys.ts';
import { type Node, newNode } from '../src/core/node.ts';
import { GraphStore } from '../src/store/graph-store.ts';

const TYPES = ['anonymous_id', 'email', 'phone'];
/** Customers of one commit. */
const AT_ONCE = 1_000;
const START = Date.UTC(2026, 0, 1);

const redis = new Redis(process.env.REDIS_URL ?? '');
const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);

await redis.set('{bench.0}:owner', 'bench');
const store = new GraphStore(redis, '{bench.0}', 'bench');
await store.load();
let identifiers = 0;
// What scripts take is no identifier's.
await commit([]);
const empty = await used();
for (const amount of process.argv.slice(2).map(Number)) {
  while (identifiers < amount) {
    const nodes: Node[] = [];
    while (identifiers < amount && nodes.length < AT_ONCE) {
      const node = newNode(customerId(START + identifiers, 'web', String(identifiers)));
      node.identified = true;
      for (const type of TYPES) {
        // As long as identifier hashes are.
        const hash = createHash('sha256').update(`${type} ${identifiers++}`).digest().subarray(0, 16);
        node.identifiers.push({ type, hash, key: identifierKey(type, hash) });
      }
      nodes.push(node);
    }
    await commit(nodes);
  }
  console.log(JSON.stringify({ identifiers, bytes_per_identifier: ((await used()) - empty) / identifiers }));
}
redis.disconnect();

async function commit(nodes: Node[]): Promise<void> {
  const moved = new Map(nodes.flatMap((node) => node.identifiers.map(({ key }) => [key, node.id] as const)));
  await store.commit({ seq: identifiers, clock: START }, { moved, newNodes: nodes }, [], 1);
}
