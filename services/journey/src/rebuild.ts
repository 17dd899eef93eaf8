import { rebuildMain } from '#lib/rebuild/main.ts';
import { journeyStage } from './processor.ts';

await rebuildMain(journeyStage);
