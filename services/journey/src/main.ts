import { bootService } from '#lib/boot/boot.ts';
import { config } from './config.ts';
import { journeyModule } from './journey.module.ts';

await bootService('journey', journeyModule, { config });
