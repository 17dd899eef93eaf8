import 'reflect-metadata';
import { bootService } from '#lib/boot/boot.ts';
import { config } from './config.ts';
import { identityModule } from './identity.module.ts';

await bootService('identity', identityModule, { config });
