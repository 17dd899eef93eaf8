// A relay in a process of its own, so that a test can let it die: NATS_URL, FAIL_POINT.
import { connect } from '@nats-io/transport-node';
import { Relay } from '../src/relay/relay.ts';

const nats = await connect({ servers: process.env.NATS_URL });
const onError = (error: unknown) => process.stderr.write(`${error}\n`);
new Relay({ nats, partitions: 2, replicas: 1, onError }).start();
