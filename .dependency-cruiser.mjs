// Who may import whom: proto/gen <- lib/topology <- other libs <- services; tools stand on libs and gen.
// Inside a service: core <- processor <- store, rpc, adapters <- module <- main. `npm run lint` checks it.

// Libraries that only compute, so a service's core may use them and they obey the same rule.
const pureLibs = '^services/lib/(buckets|channels|facts|topology|wire|identifiers|matching|recent|traits)/';

// Everything that reaches a disk, a network, a clock's timer or the framework.
const sideEffects = [
  'node_modules/(@nestjs|@nats-io|@grpc|@clickhouse|@opentelemetry)/',
  'node_modules/(ioredis|fastify|undici|pino|prom-client|nodemailer|rxjs|chdb)/',
  '^(node:)?(fs|fs/promises|net|tls|dgram|dns|http|https|http2|child_process|cluster|worker_threads|timers|timers/promises)$',
];

const tests = '\\.spec\\.ts$|^services/(lib/)?[^/]+/(test|bench)/';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'generated-code-is-the-bottom',
      severity: 'error',
      from: { path: '^proto/gen/' },
      to: { path: '^(services|tools|loadtest)/' },
    },
    {
      name: 'topology-is-data',
      comment: 'lib/topology names streams, subjects, edges and rpcs; everything else reads it, so it reads nothing.',
      severity: 'error',
      from: { path: '^services/lib/topology/', pathNot: tests },
      to: { path: '^(services|tools|loadtest)/', pathNot: '^services/lib/topology/' },
    },
    {
      name: 'libs-know-no-service',
      severity: 'error',
      from: { path: '^services/lib/' },
      to: { path: '^services/(?!lib/)' },
    },
    {
      name: 'services-do-not-import-each-other',
      comment: 'Services meet in the log and over gRPC; what two of them need is a library with a name.',
      severity: 'error',
      from: { path: '^services/(?!lib/)([^/]+)/' },
      to: { path: '^services/(?!lib/)', pathNot: '^services/$1/' },
    },
    {
      name: 'services-do-not-import-tools',
      severity: 'error',
      from: { path: '^services/', pathNot: tests },
      to: { path: '^(tools|loadtest)/' },
    },
    {
      name: 'service-tests-use-the-testkit-only',
      severity: 'error',
      from: { path: '^services/(?!lib/).*(\\.spec\\.ts$|/(test|bench)/)' },
      to: { path: '^(tools|loadtest)/', pathNot: '^tools/(testkit|provider-simulator)/' },
    },
    {
      name: 'lib-tests-use-testkit-and-servers-only',
      comment: 'The libraries are what survives a killed server: their tests handle servers themselves.',
      severity: 'error',
      from: { path: '^services/lib/.*(\\.spec\\.ts$|/(test|bench)/)' },
      to: { path: '^(tools|loadtest)/', pathNot: '^tools/(testkit|servers)/' },
    },
    {
      name: 'tools-use-libs-and-generated-clients',
      severity: 'error',
      from: { path: '^(tools|loadtest)/', pathNot: '^tools/backtest/' },
      to: { path: '^services/(?!lib/)' },
    },
    {
      name: 'backtest-runs-what-services-run',
      comment: 'Pure code only: docs/decisions/0070-backtest-in-one-process.md.',
      severity: 'error',
      from: { path: '^tools/backtest/' },
      to: {
        path: '^services/(?!lib/)',
        pathNot: '^services/[^/]+/src/(stage|processor)\\.ts$|^services/[^/]+/src/core/',
      },
    },
    {
      name: 'core-imports-itself-and-pure-libs',
      severity: 'error',
      from: { path: '^services/(?!lib/)([^/]+)/src/core/', pathNot: tests },
      to: { path: '^(services|tools|loadtest)/', pathNot: ['^services/$1/src/core/', pureLibs] },
    },
    {
      name: 'pure-libs-import-pure-libs',
      severity: 'error',
      from: { path: pureLibs, pathNot: tests },
      to: { path: '^(services|tools|loadtest)/', pathNot: pureLibs },
    },
    {
      name: 'pure-code-has-no-side-effects',
      severity: 'error',
      from: { path: ['^services/(?!lib/)[^/]+/src/core/', pureLibs], pathNot: tests },
      to: { path: sideEffects },
    },
    {
      name: 'processor-stands-on-core',
      comment: 'The processor says what it needs as an interface; stores and adapters implement it.',
      severity: 'error',
      from: { path: '^services/(?!lib/)([^/]+)/src/processor', pathNot: tests },
      to: {
        path: '^services/$1/src/',
        pathNot: ['^services/$1/src/(core/|processor)', '^services/$1/src/config\\.ts$'],
      },
    },
    {
      name: 'config-stands-on-core',
      severity: 'error',
      from: { path: '^services/(?!lib/)([^/]+)/src/config\\.ts$' },
      to: { path: '^services/$1/src/', pathNot: '^services/$1/src/core/' },
    },
    {
      name: 'only-main-imports-the-module',
      severity: 'error',
      from: { path: '^services/(?!lib/)[^/]+/src/', pathNot: ['/src/main\\.ts$', tests] },
      to: { path: '^services/(?!lib/)[^/]+/src/[^/]+\\.module\\.ts$' },
    },
    {
      name: 'nobody-imports-main',
      severity: 'error',
      from: {},
      to: { path: '^services/[^/]+/src/main\\.ts$' },
    },
    {
      name: 'no-catch-all-folders',
      comment: 'A folder is named after what is in it.',
      severity: 'error',
      from: {},
      to: { path: '^(services|tools|loadtest)/.*\\b(common|shared|utils|util|helpers|helper)(/|\\.ts$)' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^(services|tools|loadtest)/' },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'declared-packages-only',
      comment: 'A package that is only there because another needs it can vanish with any update.',
      severity: 'error',
      from: { path: '^(services|tools|loadtest)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-dev-packages-in-production',
      comment: 'Images are installed without devDependencies.',
      severity: 'error',
      from: { path: '^(services|proto/gen)/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    // TypeScript 7 has no parser API for dependency-cruiser to call; swc's sees type-only imports as well.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    // k6's scripts import what k6 itself brings.
    exclude: { path: '^(dist|node_modules|loadtest/scripts)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'types', 'default', 'require'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
