import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { dryRun } from './dry-run.ts';
import { DEPLOY, generatedFiles } from './generated.ts';
import { build, buildWith, combinations, OVERLAYS } from './kustomize.ts';
import { Schemas } from './schema.ts';
import { newSecrets } from './secrets.ts';
import { problemsOf } from './validate.ts';

const HELP = `Manifests of Recur for Kubernetes (deploy/README.md).

  npm run deploy -- generate                 writes what is made from the topology: services, network policies, autoscalers
  npm run deploy -- validate [DIR …]         builds overlays and checks them against Kubernetes' schemas and our policy; without
                                             DIR, those in deploy/overlays and every combination of components
  npm run --silent deploy -- secrets         prints new secrets for kubectl apply -f -; run it once in the life of a cluster
      --namespace NAME                       recur, unless named
      --tls                                  for components/tls: encrypted addresses of NATS and Redis
      --smtp-url URL --mail-from ADDRESS     your provider; without, the mailbox of overlay local
  npm run deploy -- dry-run [CRD.yaml …]     asks a real API server to take every overlay (needs kube-apiserver and etcd)
`;

const out = (text: string) => void process.stdout.write(`${text}\n`);

/** Something typed wrong: exit code 2. */
class UsageError extends Error {}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  const [command, ...names] = positionals;
  if (values.help || command === undefined) {
    out(HELP);
    return command === undefined && !values.help ? 2 : 0;
  }
  switch (command) {
    case 'generate':
      return generate();
    case 'validate':
      return validate(names);
    case 'secrets':
      return secrets(values);
    case 'dry-run':
      await dryRun(
        names.map((name) => resolve(name)),
        out,
      );
      return 0;
    default:
      throw new UsageError(`There is no command ${command}. Try --help.`);
  }
}

function parse(args: string[]) {
  try {
    const options = {
      help: { type: 'boolean', short: 'h' },
      namespace: { type: 'string', default: 'recur' },
      tls: { type: 'boolean', default: false },
      'smtp-url': { type: 'string' },
      'mail-from': { type: 'string' },
    } as const;
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}. Try --help.`);
  }
}

function generate(): number {
  for (const [path, text] of generatedFiles()) {
    writeFileSync(join(DEPLOY, path), text);
    out(`deploy/${path}`);
  }
  return 0;
}

async function validate(dirs: string[]): Promise<number> {
  const schemas = Schemas.vendored();
  let wrong = 0;
  const tell = (name: string, problems: string[], objects: number) => {
    wrong += problems.length;
    out(problems.length === 0 ? `${name}: ${objects} objects, valid` : `${name}:\n  ${problems.join('\n  ')}`);
  };
  for (const dir of dirs.length > 0 ? dirs : OVERLAYS.map((overlay) => join(DEPLOY, 'overlays', overlay))) {
    const manifests = await build(dir);
    tell(dir, problemsOf(manifests, schemas), manifests.length);
  }
  for (const set of dirs.length > 0 ? [] : combinations()) {
    const manifests = await buildWith(set);
    tell(set.join(' + ') || 'no components', problemsOf(manifests, schemas), manifests.length);
  }
  return wrong === 0 ? 0 : 1;
}

function secrets(values: { namespace: string; tls: boolean; 'smtp-url'?: string; 'mail-from'?: string }): number {
  const { namespace, tls, 'smtp-url': smtpUrl, 'mail-from': mailFrom = 'Recur <shop@recur.example>' } = values;
  const mail =
    smtpUrl === undefined ? { smtpUrl: 'smtp://mailpit:1025', smtpLookupUrl: 'http://mailpit:8025' } : { smtpUrl };
  out(
    newSecrets({ namespace, tls, mailFrom, ...mail })
      .map((secret) => stringify(secret, { version: '1.1' }))
      .join('---\n'),
  );
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
