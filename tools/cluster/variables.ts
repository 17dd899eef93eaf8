import { SERVICES } from '#lib/topology/topology.ts';
import type { Cluster } from './cluster.ts';

/** Where a cluster is and its keys, as assignments for a shell. Parts that do not run are left out. */
export function variablesOf({ endpoints, members }: Pick<Cluster, 'endpoints' | 'members'>): string {
  const runs = new Set<string>(members.map(({ role }) => role));
  const values: [name: string, value: string][] = [
    ['WRITE_KEY', endpoints.writeKey],
    ['API_TOKEN', endpoints.apiToken],
  ];
  if (runs.has('ingest')) values.push(['INGEST_URL', endpoints.ingestHttp]);
  if (runs.has('analytics')) values.push(['SQL_URL', endpoints.clickhouseHttp]);
  if (runs.has('mailbox')) values.push(['MAILBOX_URL', endpoints.mailboxHttp]);
  for (const service of SERVICES) {
    const first = members.find(({ role }) => role === service);
    if (first === undefined) continue;
    const name = service.toUpperCase();
    values.push([`${name}_ADDR`, endpoints.grpc[service]], [`${name}_HTTP`, endpoints.httpOf(first.name)]);
  }
  // Keys and addresses are of letters, digits and -_:/. only; quotes are for whoever changes that.
  return values.map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`).join('\n');
}
