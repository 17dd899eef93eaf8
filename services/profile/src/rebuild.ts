import { rebuildMain } from '#lib/rebuild/main.ts';
import { profileStage } from './stage.ts';

await rebuildMain(profileStage);
