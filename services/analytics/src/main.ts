import { bootService } from '#lib/boot/boot.ts';
import { analyticsModule } from './analytics.module.ts';
import { config } from './config.ts';

await bootService('analytics', analyticsModule, { config });
