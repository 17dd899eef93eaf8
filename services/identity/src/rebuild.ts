import { runRebuild } from '#lib/rebuild/main.ts';
import { HELP, identityRebuild } from './rebuild/command.ts';

await runRebuild(() => identityRebuild, HELP);
