import { ShopZone } from '#lib/facts/facts.ts';
import { rebuildMain } from '#lib/rebuild/main.ts';
import { segmentationStage } from './stage.ts';

await rebuildMain((zone) => segmentationStage(new ShopZone(zone)));
