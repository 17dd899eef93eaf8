import { rebuildMain } from '#lib/rebuild/main.ts';
import { messagingSpec } from './stage.ts';

await rebuildMain((shopTimeZone) => messagingSpec({ shopTimeZone }));
