import { type Manifest, nameOf, runsToItsEnd, type Workload, workloadsIn } from './manifest.ts';

/** What every Job and CronJob must be: it ends, is not begun beside itself, and leaves little behind. */
export function jobProblems(manifests: readonly Manifest[]): string[] {
  const jobs = workloadsIn(manifests).filter(runsToItsEnd);
  const schedules = manifests.filter(({ kind }) => kind === 'CronJob');
  return [
    ...jobs.flatMap((job) => ending(job).map((problem) => `${nameOf(job)}: ${problem}`)),
    ...schedules.flatMap((each) => repeating(each).map((problem) => `${nameOf(each)}: ${problem}`)),
  ];
}

function ending({ spec }: Workload): string[] {
  const problems: string[] = [];
  const { activeDeadlineSeconds, backoffLimit, template } = spec;
  if (!(activeDeadlineSeconds !== undefined && activeDeadlineSeconds > 0))
    problems.push('activeDeadlineSeconds is missing, so it may hang for ever');
  if (!(backoffLimit !== undefined && backoffLimit <= 3)) problems.push('backoffLimit must be 0 to 3');
  if (template.spec.restartPolicy !== 'Never')
    problems.push('restartPolicy must be Never: what a pod that failed has said is kept');
  const node = template.spec.containers.filter(({ image }) => /(^|\/)recur\//.test(image));
  for (const { name, env = [] } of node) {
    const options = env.find((each) => each.name === 'NODE_OPTIONS')?.value ?? '';
    const percent = Number(/--max-old-space-size-percentage=(\d+)/.exec(options)?.[1]);
    if (!(percent >= 10 && percent <= 75))
      problems.push(`container ${name}: Node's heap must be 10 to 75 % of the memory limit`);
  }
  return problems;
}

interface CronSpec {
  readonly schedule?: string;
  readonly timeZone?: string;
  readonly concurrencyPolicy?: string;
  readonly startingDeadlineSeconds?: number;
  readonly successfulJobsHistoryLimit?: number;
  readonly failedJobsHistoryLimit?: number;
}

function repeating(manifest: Manifest): string[] {
  const spec = (manifest.spec ?? {}) as CronSpec;
  const problems: string[] = [];
  if (!/^(\S+ ){4}\S+$/.test(spec.schedule ?? '')) problems.push(`schedule "${spec.schedule}" must have five fields`);
  if (spec.timeZone === undefined) problems.push('timeZone is missing: the controller’s own is nobody’s');
  if (spec.concurrencyPolicy !== 'Forbid') problems.push('concurrencyPolicy must be Forbid');
  // Below 10 s the controller, which looks every 10 s, may never start it.
  if (!((spec.startingDeadlineSeconds ?? 0) >= 60)) problems.push('startingDeadlineSeconds must be 60 or more');
  for (const limit of ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit'] as const)
    if (!((spec[limit] ?? 0) >= 1 && (spec[limit] ?? 0) <= 10)) problems.push(`${limit} must be 1 to 10`);
  return problems;
}
