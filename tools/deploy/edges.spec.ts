import { describe, expect, test } from 'vitest';
import { CALLS, PORTS, SERVICES } from '#lib/topology/topology.ts';
import { networkPolicies } from './edges.ts';
import { labelsOf } from './service-manifests.ts';

// What the policies allow, worked out the way a network plug-in does, and compared with what the topology says.

interface Selector {
  matchLabels?: Record<string, string>;
}
interface Rule {
  from?: PeerRule[];
  to?: PeerRule[];
  ports?: { protocol: string; port: number }[];
}
interface PeerRule {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except: string[] };
}
interface Policy {
  spec: { podSelector: Selector; policyTypes: string[]; ingress?: Rule[]; egress?: Rule[] };
}
interface End {
  labels: Record<string, string>;
  /** Labels of its namespace; undefined for our own. */
  namespace?: Record<string, string>;
  internet?: boolean;
}

const policies = networkPolicies() as Policy[];
const matches = (selector: Selector | undefined, labels: Record<string, string>) =>
  Object.entries(selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value);

function isPeer(rule: PeerRule, end: End): boolean {
  if (rule.ipBlock !== undefined) return end.internet === true;
  if (end.internet) return false;
  if (rule.namespaceSelector === undefined) return end.namespace === undefined && matches(rule.podSelector, end.labels);
  return (
    end.namespace !== undefined &&
    matches(rule.namespaceSelector, end.namespace) &&
    matches(rule.podSelector, end.labels)
  );
}

/** One side: no policy selects it, or a rule lets the other side through. Ends outside our namespace are not ours to limit. */
function lets(direction: 'Ingress' | 'Egress', own: End, other: End, port: number, protocol: string): boolean {
  if (own.namespace !== undefined || own.internet) return true;
  const selecting = policies.filter(
    ({ spec }) => spec.policyTypes.includes(direction) && matches(spec.podSelector, own.labels),
  );
  if (selecting.length === 0) return true;
  return selecting.some(({ spec }) =>
    (direction === 'Ingress' ? spec.ingress : spec.egress)?.some(
      (rule) =>
        (rule.from ?? rule.to ?? []).some((peer) => isPeer(peer, other)) &&
        (rule.ports ?? []).some((each) => each.port === port && each.protocol === protocol),
    ),
  );
}

const may = (from: End, to: End, port: number, protocol = 'TCP') =>
  lets('Egress', from, to, port, protocol) && lets('Ingress', to, from, port, protocol);

const pod = (name: string): End => ({ labels: labelsOf(name, 'service') });
const stranger = (role?: string): End => ({
  labels: labelsOf('profile', 'service'),
  namespace: role === undefined ? { 'kubernetes.io/metadata.name': 'default' } : { 'recur.example/role': role },
});
const internet: End = { labels: {}, internet: true };
const dns: End = { labels: { 'k8s-app': 'kube-dns' }, namespace: { 'kubernetes.io/metadata.name': 'kube-system' } };

describe('between services', () => {
  test.each(SERVICES.flatMap((from) => SERVICES.map((to) => [from, to] as const)))(
    '%s → %s only where it calls it',
    (from, to) => {
      const calls = CALLS.some((call) => call.from === from && call.to === to);
      expect(may(pod(from), pod(to), PORTS.grpc[to])).toBe(calls);
      // Nobody of ours asks another for its metrics, or for SQL.
      expect(may(pod(from), pod(to), PORTS.ingestHttp)).toBe(false);
      expect(may(pod(from), pod(to), PORTS.clickhouseHttp)).toBe(false);
    },
  );
});

describe('stores', () => {
  test.each(SERVICES)('%s reaches NATS and Redis at their client ports, and neither reaches it', (service) => {
    expect(may(pod(service), pod('nats'), 4222)).toBe(true);
    expect(may(pod(service), pod('redis'), 6379)).toBe(true);
    expect(may(pod(service), pod('nats'), 8222)).toBe(false);
    expect(may(pod(service), pod('nats'), 6222)).toBe(false);
    for (const store of ['nats', 'redis']) expect(may(pod(store), pod(service), PORTS.grpc[service])).toBe(false);
  });

  test('ClickHouse is analytics’ alone', () => {
    for (const service of SERVICES) expect(may(pod(service), pod('clickhouse'), 8123)).toBe(service === 'analytics');
    expect(may(pod('clickhouse'), pod('clickhouse-keeper'), 9181)).toBe(true);
    expect(may(pod('analytics'), pod('clickhouse-keeper'), 9181)).toBe(false);
    expect(may(stranger('client'), pod('clickhouse'), 8123)).toBe(false);
  });

  test('NATS servers reach each other; nobody else reaches a store', () => {
    expect(may(pod('nats'), pod('nats'), 6222)).toBe(true);
    expect(may(pod('nats'), pod('redis'), 6379)).toBe(false);
    for (const role of [undefined, 'gateway', 'client', 'monitoring']) {
      expect(may(stranger(role), pod('nats'), 4222)).toBe(false);
      expect(may(stranger(role), pod('redis'), 6379)).toBe(false);
    }
  });
});

describe('operations', () => {
  const operations: End = { labels: labelsOf('operations', 'operations') };

  test('reach the stores, SQL and what the library is made of, and nobody else; nobody reaches them', () => {
    expect(may(operations, pod('nats'), 4222)).toBe(true);
    expect(may(operations, pod('redis'), 6379)).toBe(true);
    for (const service of SERVICES) {
      const called = ['profile', 'segmentation', 'messaging', 'journey'].includes(service);
      expect(may(operations, pod(service), PORTS.grpc[service])).toBe(called);
      expect(may(operations, pod(service), PORTS.clickhouseHttp)).toBe(service === 'analytics');
      expect(may(pod(service), operations, PORTS.clickhouseHttp)).toBe(false);
    }
    expect(may(operations, pod('clickhouse'), 8123)).toBe(false);
    expect(may(operations, internet, 443)).toBe(false);
    expect(may(operations, dns, 53, 'UDP')).toBe(true);
  });
});

describe('the outside', () => {
  test('gateways reach the links of messages, not what else messaging has', () => {
    for (const service of SERVICES) expect(may(stranger('gateway'), pod(service), 9056)).toBe(service === 'messaging');
  });

  test('gateways reach ingest, clients the APIs, monitoring the metrics; others nothing', () => {
    for (const service of SERVICES) {
      const http = service === 'ingest' ? PORTS.ingestHttp : PORTS.grpc[service] - 41_000;
      expect(may(stranger('gateway'), pod(service), PORTS.grpc[service])).toBe(service === 'ingest');
      expect(may(stranger('client'), pod(service), PORTS.grpc[service])).toBe(true);
      expect(may(stranger('monitoring'), pod(service), PORTS.grpc[service])).toBe(false);
      expect(may(stranger('monitoring'), pod(service), http)).toBe(true);
      // A pod elsewhere is not ours by wearing our labels.
      for (const port of [PORTS.grpc[service], http]) expect(may(stranger(), pod(service), port)).toBe(false);
    }
    expect(may(stranger('client'), pod('analytics'), PORTS.clickhouseHttp)).toBe(true);
  });

  test('only messaging leaves, to mail servers and providers; everybody may ask for names', () => {
    for (const service of SERVICES) {
      expect(may(pod(service), internet, 587)).toBe(service === 'messaging');
      expect(may(pod(service), internet, 443)).toBe(service === 'messaging');
      expect(may(pod(service), internet, 80)).toBe(false);
      expect(may(pod(service), stranger(), 443)).toBe(false);
      expect(may(pod(service), dns, 53, 'UDP')).toBe(true);
      expect(may(pod(service), stranger(), 53, 'UDP')).toBe(false);
    }
    expect(may(pod('redis'), internet, 443)).toBe(false);
  });
});
