import { expect, it } from 'vitest';
import { Step, type StepAction } from '#gen/recur/log/v1/changes.ts';
import fc from '#tools/testkit/fast-check.ts';
import { stepActionOf } from './step-scan.ts';

it('says what the decoder says, wherever the step lies', () => {
  const text = fc.string({ maxLength: 200 });
  const steps = fc.record({
    ...{ journeyId: text, enrolmentId: text, nodeId: text, branch: text, reason: text },
    version: fc.nat(),
    action: fc.integer({ min: 0, max: 7 }).map((action) => action as StepAction),
  });
  const around = fc.uint8Array({ maxLength: 20 });
  fc.assert(
    fc.property(steps, around, around, (step, before, after) => {
      const encoded = Step.encode(step).finish();
      const bytes = Buffer.concat([before, encoded, after]);
      expect(stepActionOf(bytes, before.length, before.length + encoded.length)).toBe(step.action);
    }),
  );
});

it('throws at what is cut off', () => {
  const encoded = Step.encode(Step.fromPartial({ journeyId: 'welcome', reason: 'because' })).finish();
  expect(() => stepActionOf(encoded, 0, encoded.length - 1)).toThrow(RangeError);
});
