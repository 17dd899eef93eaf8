// Bare gRPC ingest: decodes the request, publishes every event as a JetStream message, all of a request at once, and answers
// when they are stored. Checks, normalises and hashes nothing.
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Event } from '#gen/recur/ingest/v1/event.ts';
import {
  IngestServiceService,
  type SendEventRequest,
  SendEventResponse,
  type SendEventsRequest,
  SendEventsResponse,
} from '#gen/recur/ingest/v1/ingest_service.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const js = jetstream(await connect({ servers: given('NATS_URL'), noAsyncTraces: true }));

function publishing<Q, A>(eventsOf: (request: Q) => readonly Event[], answer: A) {
  return ({ request }: ServerUnaryCall<Q, A>, done: sendUnaryData<A>) => {
    const stored = eventsOf(request).map((event) => js.publish(BARE.in.subject, Event.encode(event).finish()));
    Promise.all(stored).then(
      () => done(null, answer),
      (error: Error) => done(error),
    );
  };
}

const server = new Server();
const { sendEvent, sendEvents } = IngestServiceService;
server.addService(
  { sendEvent, sendEvents },
  {
    sendEvent: publishing(
      ({ event }: SendEventRequest) => (event === undefined ? [] : [event]),
      SendEventResponse.fromPartial({}),
    ),
    sendEvents: publishing(({ events }: SendEventsRequest) => events, SendEventsResponse.fromPartial({})),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce({ port }, () => 0);
});
