import { bootService } from '#lib/boot/boot.ts';
import { profileModule } from './profile.module.ts';

await bootService('profile', profileModule);
