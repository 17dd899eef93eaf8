// node tools/provider-simulator/main.ts [PORT]: providers of messages on this machine, until interrupted.
import { SIMULATOR_KEYS, Simulator } from './simulator.ts';

const port = Number(process.argv[2] ?? 0);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error('usage: node tools/provider-simulator/main.ts [PORT]');
  process.exit(2);
}
const simulator = await new Simulator().listen(port);
const { serviceAccount, apnsKey, vapidKeys } = simulator.accounts;
const push = { http2Url: simulator.http2Url, serviceAccount, apnsKey, vapidKeys };
console.log(JSON.stringify({ url: simulator.url, ...SIMULATOR_KEYS, ...push }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void simulator.close());
