// Builds what tests need and a machine has not (nats-server, k6) behind everybody's back: `npm test` begins with it, and it takes
// only what the processor has to spare. Whoever needs one meanwhile waits for it; what fails here is told there.
import { setPriority } from 'node:os';
import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { canHaveK6, ensureK6 } from './ensure-k6.ts';

setPriority(10);
await ensureNats();
if (await canHaveK6()) await ensureK6();
