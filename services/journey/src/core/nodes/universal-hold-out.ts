import type { Exposure } from '#gen/recur/log/v1/changes.ts';
import { isHeldOut, UNIVERSAL_HOLD_OUT } from '#lib/buckets/buckets.ts';
import type { Place } from './outcome.ts';

interface Held {
  readonly holdOut: boolean;
  /** Told once a customer: both sides count from the first message that was due. */
  readonly told: { readonly exposure?: Exposure };
}

/**
 * Which side of the shop's universal hold-out a customer is on whom a message is due; undefined when nobody is held out of it. The
 * side is a hash of the id, the same that segments see; the state remembers only that it was told.
 */
export function universalHoldOut(nodeId: string, purpose: string, { run, enrolment }: Place): Held | undefined {
  const { holdOut: settings } = run.journeys;
  if (settings === undefined || settings.percent <= 0 || purpose === 'transactional') return undefined;
  if (run.now < settings.startTimeMs) return undefined;
  const holdOut = isHeldOut(settings, run.customerId);
  const variant = holdOut ? 'hold_out' : 'treated';
  const { assignments } = run.state;
  const known = assignments.find(({ experimentId }) => experimentId === UNIVERSAL_HOLD_OUT);
  if (known?.variant === variant) return { holdOut, told: {} };
  if (known === undefined) assignments.push({ experimentId: UNIVERSAL_HOLD_OUT, variant, assignedMs: run.now });
  else known.variant = variant;
  const { enrolmentId, journeyId } = enrolment;
  return {
    holdOut,
    told: { exposure: { experimentId: UNIVERSAL_HOLD_OUT, variant, holdOut, enrolmentId, journeyId, nodeId } },
  };
}
