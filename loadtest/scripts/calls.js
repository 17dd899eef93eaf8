// The calls a load is made of, each under its name: k6 keeps durations, errors and refusals by it.
import { b64encode } from 'k6/encoding';
import http from 'k6/http';
import { Counter, Rate } from 'k6/metrics';
import grpc from 'k6/net/grpc';
import { event, events, protoEvents, someUser } from './shop.js';

export const BATCH = 50;

/** Neither taken nor refused in the agreed way. */
const errors = new Rate('recur_errors');
/** 429, 503, RESOURCE_EXHAUSTED, UNAVAILABLE: come again. Nothing is lost, and the sender knows. */
const refused = new Rate('recur_refused');
/** Events ingest answered for: these must be in the log, once. */
const accepted = new Counter('recur_accepted_events');
/** Events of calls that got no answer, or 503: nobody knows, so the count may be larger by so many. */
const unanswered = new Counter('recur_unanswered_events');

const env = (name, otherwise) => __ENV[name] || otherwise;
const INGEST_URL = env('INGEST_URL', 'http://127.0.0.1:8080');
const headers = { authorization: `Basic ${b64encode(`${env('WRITE_KEY', '')}:`)}`, 'content-type': 'application/json' };
const metadata = { authorization: `Bearer ${env('API_TOKEN', '')}` };
const TIMEOUT = '10s';

const ingest = new grpc.Client();
ingest.load([env('PROTO', '../../proto')], 'recur/ingest/v1/ingest_service.proto');
const profile = new grpc.Client();
profile.load([env('PROTO', '../../proto')], 'recur/profile/v1/profile_service.proto');

const connected = new Set();

/** The status of a call; one that could not even connect has that of a server that is away. */
function invoke(client, address, method, request, call) {
  try {
    if (!connected.has(address)) {
      client.connect(address, { plaintext: env('GRPC_TLS', '') === '', timeout: TIMEOUT });
      connected.add(address);
    }
    return client.invoke(method, request, { metadata, tags: { call }, timeout: TIMEOUT }).status;
  } catch {
    return NO_CONNECTION;
  }
}

const NO_CONNECTION = -1;

function tell(call, count, { ok, comeAgain, open }) {
  const tags = { call };
  errors.add(!ok && !comeAgain, tags);
  refused.add(comeAgain, tags);
  if (ok) accepted.add(count, tags);
  else if (open) unanswered.add(count, tags);
}

function post(call, path, body, count) {
  const { status } = http.post(INGEST_URL + path, JSON.stringify(body), { headers, tags: { call }, timeout: TIMEOUT });
  tell(call, count, {
    ok: status === 200,
    comeAgain: status === 429 || status === 503,
    open: status === 0 || status === 503,
  });
}

export const httpBatch = () => post('http batch', '/v1/batch', { batch: events(BATCH) }, BATCH);
export const httpTrack = () => post('http track', '/v1/track', event(), 1);

const COME_AGAIN = [grpc.StatusResourceExhausted, grpc.StatusUnavailable];

export function grpcSendEvents() {
  const call = 'grpc SendEvents';
  const request = { events: protoEvents(BATCH) };
  const address = env('INGEST_ADDR', '127.0.0.1:15051');
  const status = invoke(ingest, address, 'recur.ingest.v1.IngestService/SendEvents', request, call);
  const ok = status === grpc.StatusOK;
  const comeAgain = COME_AGAIN.includes(status);
  tell(call, BATCH, { ok, comeAgain, open: !ok && status !== grpc.StatusResourceExhausted });
}

/** One who was never seen is no error: the load has only just begun. */
export function grpcGetProfile() {
  const call = 'grpc GetProfile';
  const request = { identifier: { type: 'user_id', value: someUser() } };
  const address = env('PROFILE_ADDR', '127.0.0.1:15053');
  const status = invoke(profile, address, 'recur.profile.v1.ProfileService/GetProfile', request, call);
  const tags = { call };
  errors.add(![grpc.StatusOK, grpc.StatusNotFound, ...COME_AGAIN].includes(status), tags);
  refused.add(COME_AGAIN.includes(status), tags);
}
