import { type RebuildCommand, SHOWN } from '#lib/rebuild/main.ts';
import { type LaneRebuilt, rebuildLane } from './lane-rebuild.ts';

export const HELP = `Folds INGEST through identity's own processor a second time, and compares what comes out with its live graph, key by key, at the
same place of the lane: identifiers, customers, message ids of the last day or two, outcomes of commands, types in force. Publishes
nothing.

  --repair        write what the fold gives where the live graph is different
  --partition 0   the lane; there is one
  --json          a line of JSON
  --help

Environment: NATS_URL, REDIS_URL as identity has them; SCRATCH_REDIS_URL: another Redis for the fold, when the live one has no room
for a second graph. INGEST must reach back to its first event (INGEST_MAX_AGE_HOURS, 7 days unless set).

The lane is folded while identity goes on; then it is held, for the time a comparison takes, and goes on by itself.

Exit code 0: equal, or repaired. 1: different, or it could not be compared. 2: bad options.`;

export const identityRebuild: RebuildCommand<LaneRebuilt> = {
  stage: 'identity',
  rebuild: rebuildLane,
  equal: ({ differences, repaired, unsaid }) => differences === repaired && unsaid.length === 0,
  text,
  plain: (each) => ({ ...each, first: each.first.slice(0, SHOWN) }),
};

function text({ seq, keys, differences, byKind, first, unsaid, repaired, heldMs }: LaneRebuilt): string {
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([kind, n]) => `${n} ${kind}`)
      .join(', ');
  const head = `identity.0 at ${seq}: ${counts(keys)} compared, held for ${heldMs} ms`;
  if (differences === 0 && unsaid.length === 0) return `${head}: equal`;
  const lines = first.slice(0, SHOWN).map((line) => `  ${line}`);
  if (differences > SHOWN) lines.push(`  … ${differences - SHOWN} more`);
  for (const { subject, records } of unsaid)
    lines.push(`  ${records} records for ${subject} that the log does not have`);
  const kinds = differences > 0 ? ` (${counts(byKind)})` : '';
  return [`${head}: ${differences} differences${kinds}${repaired > 0 ? `, ${repaired} repaired` : ''}`, ...lines].join(
    '\n',
  );
}
