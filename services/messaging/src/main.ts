import { bootService } from '#lib/boot/boot.ts';
import { config } from './config.ts';
import { messagingModule } from './messaging.module.ts';

await bootService('messaging', messagingModule, { config });
