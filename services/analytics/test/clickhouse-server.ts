import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { clickHouseOverHttp } from './clickhouse-over-http.ts';

/** The embedded engine as a ClickHouse server of its own, which can be away and slow: `node clickhouse-server.ts <folder> <port>`. */
const [dir = '', port = ''] = process.argv.slice(2);
if (dir === '' || !(Number(port) > 0)) {
  process.stderr.write('usage: node clickhouse-server.ts <folder> <port>\n');
  process.exit(2);
}
const { url } = await clickHouseOverHttp(await ChdbEngine.open(dir), Number(port));
process.stdout.write(`ClickHouse at ${url}\n`);
