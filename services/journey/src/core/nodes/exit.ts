import type { Exit } from '#gen/recur/journey/v1/journey.ts';
import type { Outcome } from './outcome.ts';

export function arriveAtExit(exit: Exit): Outcome {
  return { is: 'leave', reason: exit.reason === '' ? 'end' : exit.reason };
}
