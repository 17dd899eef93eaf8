// What a shop's visitors send. Ids repeat over a fixed crowd, as visitors do; message ids never repeat, also not between runs.
import { b64encode } from 'k6/encoding';
import exec from 'k6/execution';

const VISITORS = 20_000;
const run = __ENV.RUN || String(Date.now());

let made = 0;

function nextIds() {
  made++;
  const n = exec.vu.idInTest * 1_000_003 + made;
  return { n, visitor: (n * 7919) % VISITORS, messageId: `k6-${run}-${exec.vu.idInTest}-${made}` };
}

export const userOf = (visitor) => `k6-user-${visitor}`;

/** Nine views of a product to one order. */
export function event() {
  const { n, visitor, messageId } = nextIds();
  const base = { type: 'track', messageId, userId: userOf(visitor), timestamp: new Date().toISOString() };
  const product = {
    product_id: `p${n % 140}`,
    category: ['cleanser', 'sunscreen', 'mask', 'serum'][n % 4],
    price: 79.9,
  };
  if (n % 10 !== 0) return { ...base, event: 'Product Viewed', properties: product };
  const properties = {
    order_id: `o-${messageId}`,
    total: 79.9,
    currency: 'CNY',
    products: [{ ...product, quantity: 1 }],
  };
  return { ...base, event: 'Order Completed', properties };
}

export const events = (count) => Array.from({ length: count }, event);

/** The same for gRPC: properties are JSON in bytes, which k6 writes as base64. */
export function protoEvent() {
  const { messageId, userId, event: name, timestamp, properties } = event();
  return {
    type: 'EVENT_TYPE_TRACK',
    message_id: messageId,
    user_id: userId,
    name,
    time_ms: String(Date.parse(timestamp)),
    properties_json: b64encode(JSON.stringify(properties)),
  };
}

export const protoEvents = (count) => Array.from({ length: count }, protoEvent);

/** A visitor seen before, most likely. */
export const someUser = () => userOf(Math.floor(Math.random() * VISITORS));
