import { bootService } from '#lib/boot/boot.ts';
import { config } from './config.ts';
import { ingestModule } from './ingest.module.ts';

await bootService('ingest', ingestModule, { config });
