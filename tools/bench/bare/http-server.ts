// Bare HTTP ingest: parses the body, publishes one frame per request to JetStream, answers when that is stored.
// A record's body is a piece of the request's, as many bytes as a record of ours has (BODY_BYTES), so that the streams
// carry as much as ours do.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const js = jetstream(await connect({ servers: given('NATS_URL') }));
const bodyBytes = Number(given('BODY_BYTES'));

interface Sent {
  readonly userId?: string;
  readonly anonymousId?: string;
  readonly context?: { readonly externalIds?: readonly { readonly id: string }[] };
}

function frameOf(body: Buffer): Uint8Array {
  const { batch } = JSON.parse(body.toString('utf8')) as { batch: Sent[] };
  const timeMs = Date.now();
  const size = Math.min(bodyBytes, Math.floor(body.length / batch.length));
  const records = batch.map(
    (e, i): LogRecord => ({
      customerId: e.userId ?? e.anonymousId ?? e.context?.externalIds?.[0]?.id ?? '',
      kind: 1,
      timeMs,
      originSeq: 0,
      originIndex: 0,
      fromTimer: false,
      body: body.subarray(i * size, (i + 1) * size),
    }),
  );
  return encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
}

async function take(parts: Buffer[], response: ServerResponse): Promise<void> {
  await js.publish(BARE.in.subject, frameOf(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)));
  response.setHeader('content-type', 'application/json');
  response.end('{"success":true}');
}

const server = createServer((request: IncomingMessage, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    take(parts, response).catch((error: Error) => {
      response.statusCode = 500;
      response.end(error.message);
    });
  });
});
server.listen(0, '127.0.0.1', () => announce({ port: (server.address() as AddressInfo).port }, () => 0));
