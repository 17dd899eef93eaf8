import type { ShopZone } from '#lib/facts/facts.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { type InForce, planCompiler } from './core/in-force.ts';
import { type CustomerState, stateCodec } from './core/state.ts';
import { SegmentationProcessor } from './processor.ts';

/** What the kit runs. */
export function segmentationStage(zone: ShopZone): StageSpec<CustomerState, InForce> {
  return {
    stage: 'segmentation',
    codec: stateCodec,
    processor: new SegmentationProcessor(zone),
    definitions: planCompiler(zone),
  };
}
