import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What stands in for a built service where the tools themselves are tested: it answers on its ports, says what it was
 * told, and misbehaves on request (SAMPLE=fails | never-ready | stubborn | crashes, for the service named in SAMPLE_OF).
 */
const MAIN = `
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
const { SAMPLE, SAMPLE_OF, SERVICE_NAME, HTTP_PORT, GRPC_PORT } = process.env;
const does = (what) => SAMPLE === what && (SAMPLE_OF ?? SERVICE_NAME) === SERVICE_NAME;
console.log(JSON.stringify({ msg: 'starting', service: SERVICE_NAME }));
if (does('fails')) {
  console.log('PARTITIONS = 0: must be a whole number');
  process.exit(7);
}
process.on('SIGTERM', () => {
  if (!does('stubborn')) process.exit(0);
});
createTcpServer(() => {}).listen(Number(GRPC_PORT), '127.0.0.1');
createServer((request, response) => {
  if (request.url === '/env') response.end(JSON.stringify(process.env));
  else if (request.url === '/crash') process.kill(process.pid, 'SIGKILL');
  else response.writeHead(does('never-ready') ? 503 : 200).end('ok');
}).listen(Number(HTTP_PORT), '127.0.0.1');
if (does('crashes')) setTimeout(() => process.exit(3), 300);
`;

/** Makes a folder like dist, with these services. */
export function writeSampleDist(dir: string, services: readonly string[]): string {
  for (const service of services) {
    mkdirSync(join(dir, service), { recursive: true });
    writeFileSync(join(dir, service, 'main.js'), MAIN);
    writeFileSync(join(dir, service, 'package.json'), '{"type": "module"}\n');
  }
  return dir;
}
