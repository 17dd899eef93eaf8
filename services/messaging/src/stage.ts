import type { Codec, StageSpec } from '#lib/stream/processor.ts';
import { compile, type Definitions } from './core/definitions.ts';
import { MessagingState } from './core/state.ts';
import { MessagingProcessor } from './processor.ts';
import type { TemplateLibrary } from './store/template-library.ts';

export const STAGE = 'messaging';

export const stateCodec: Codec<MessagingState> = { encode: MessagingState.encode, decode: MessagingState.decode };

export interface StageParts {
  readonly shopTimeZone: string;
  /** Those this cluster is configured for; e-mail when left out. */
  readonly channels?: ReadonlySet<string>;
  /** Told of everything in force; what it remembers spares parsing at every change. */
  readonly library?: TemplateLibrary;
  readonly onPending?: StageSpec<MessagingState, Definitions>['onPending'];
}

/** What the kit runs. */
export function messagingSpec({
  shopTimeZone,
  channels,
  library,
  onPending,
}: StageParts): StageSpec<MessagingState, Definitions> {
  return {
    stage: STAGE,
    codec: stateCodec,
    processor: new MessagingProcessor(shopTimeZone, channels ?? new Set(['email'])),
    definitions: {
      compile: (active) => {
        for (const definition of active) library?.noteSettings(definition);
        return compile(active, library?.compile);
      },
    },
    ...(onPending && { onPending }),
  };
}
