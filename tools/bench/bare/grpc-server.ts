// Bare gRPC ingest: decodes the request, publishes its bytes as one JetStream message, answers when that is stored.
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import {
  IngestServiceService,
  SendEventResponse,
  SendEventsRequest,
  SendEventsResponse,
} from '#gen/recur/ingest/v1/ingest_service.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const js = jetstream(await connect({ servers: given('NATS_URL') }));

/** Decodes, as a server must, and keeps the bytes, so that publishing costs no encoding. */
const keepingBytes =
  (decode: (bytes: Buffer) => unknown) =>
  (bytes: Buffer): Buffer => {
    decode(bytes);
    return bytes;
  };

function publishing<T>(answer: T) {
  return ({ request }: ServerUnaryCall<Buffer, T>, done: sendUnaryData<T>) => {
    js.publish(BARE.in.subject, request).then(
      () => done(null, answer),
      (error: Error) => done(error),
    );
  };
}

const server = new Server();
const { sendEvent, sendEvents } = IngestServiceService;
server.addService(
  {
    sendEvent: { ...sendEvent, requestDeserialize: keepingBytes(sendEvent.requestDeserialize) },
    sendEvents: { ...sendEvents, requestDeserialize: keepingBytes(SendEventsRequest.decode) },
  },
  {
    sendEvent: publishing(SendEventResponse.fromPartial({})),
    sendEvents: publishing(SendEventsResponse.fromPartial({})),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce({ port }, () => 0);
});
