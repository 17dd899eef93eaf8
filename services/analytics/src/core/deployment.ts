/**
 * Where ClickHouse is: inside this process, one server, or the replicas of a cluster. The same SQL files serve all three;
 * what differs is added here, statement by statement.
 */
export type Deployment =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'server'; readonly url: string }
  /** One shard: every replica holds everything. */
  | { readonly kind: 'cluster'; readonly url: string; readonly cluster: string };

export const EMBEDDED: Deployment = { kind: 'embedded' };

const CLUSTER_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;

/**
 * The one setting: empty is the embedded engine, an address a server, an address with `?cluster=NAME` a cluster.
 * @throws Error with the rule it breaks; the address is not quoted, it may carry a password
 */
export function parseDeployment(setting: string): Deployment {
  if (setting === '') return EMBEDDED;
  const url = URL.canParse(setting) ? new URL(setting) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new Error('must be empty (the embedded engine) or http://host:8123, with ?cluster=NAME for a cluster');
  const cluster = url.searchParams.get('cluster');
  url.search = '';
  url.hash = '';
  if (cluster === null) return { kind: 'server', url: url.href };
  if (!CLUSTER_NAME.test(cluster))
    throw new Error('cluster must be 1 to 63 letters, digits, "_" or "-", beginning with a letter');
  return { kind: 'cluster', url: url.href, cluster };
}

/** Where each replica of a table keeps its place in Keeper; the macros are those of the server's configuration. */
const REPLICA = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'";

const NAME = '(?:[\\w`]+\\.)?[\\w`]+';
/** Statements that change what there is, up to where ON CLUSTER belongs: behind the name, or behind the verb of a grant. */
const HEADS: readonly RegExp[] = [
  new RegExp(
    `^(?:CREATE|ATTACH)\\s+(?:OR\\s+REPLACE\\s+)?(?:TABLE|(?:MATERIALIZED\\s+)?VIEW|DICTIONARY|DATABASE|FUNCTION|ROLE|USER|SETTINGS\\s+PROFILE|QUOTA)\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?${NAME}`,
    'i',
  ),
  new RegExp(`^(?:ALTER\\s+TABLE|OPTIMIZE\\s+TABLE|TRUNCATE\\s+TABLE)\\s+${NAME}`, 'i'),
  new RegExp(`^DROP\\s+(?:TABLE|VIEW|DICTIONARY|FUNCTION)\\s+(?:IF\\s+EXISTS\\s+)?${NAME}`, 'i'),
  /^SYSTEM\s+RELOAD\s+DICTIONARY/i,
  /^(?:GRANT|REVOKE)/i,
];

/** The statement as this deployment needs it; one that changes nothing about the schema stays as it is. */
export function statementFor(deployment: Deployment, sql: string): string {
  if (deployment.kind !== 'cluster') return sql;
  const head = HEADS.map((rule) => rule.exec(sql)?.[0]).find((found) => found !== undefined);
  if (head === undefined) return sql;
  return `${head} ON CLUSTER \`${deployment.cluster}\`${replicated(sql.slice(head.length))}`;
}

/** Plain engines of tables become their replicated kin; what they were given comes behind the replica's place. */
function replicated(rest: string): string {
  return rest.replace(
    /\bENGINE\s*=\s*((?:Replacing|Summing|Aggregating|Collapsing|VersionedCollapsing)?MergeTree)\b(?:\s*\(([^()]*)\))?/i,
    (_, engine: string, given: string | undefined) =>
      `ENGINE = Replicated${engine}(${[REPLICA, given?.trim() ?? ''].filter((part) => part !== '').join(', ')})`,
  );
}
