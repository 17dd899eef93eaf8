import { bootService } from '#lib/boot/boot.ts';
import { config } from './config.ts';
import { segmentationModule } from './segmentation.module.ts';

await bootService('segmentation', segmentationModule, { config });
