import { ShopZone } from '#lib/facts/facts.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { type InForce, planCompiler } from './core/plan.ts';
import { type ProfileState, stateCodec } from './core/state.ts';
import { ProfileProcessor } from './processor.ts';

/** What the kit runs. @param timeZone IANA name of the shop's time zone */
export function profileStage(timeZone: string): StageSpec<ProfileState, InForce> {
  const zone = new ShopZone(timeZone);
  return {
    stage: 'profile',
    codec: stateCodec,
    processor: new ProfileProcessor(zone),
    definitions: planCompiler(zone),
  };
}
