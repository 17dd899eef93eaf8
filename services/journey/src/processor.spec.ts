import { describe, expect, it } from 'vitest';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { isHeldOut } from '#lib/buckets/buckets.ts';
import { MERGES } from '../test/processor/merges.ts';
import { NODES } from '../test/processor/nodes.ts';
import { RULES } from '../test/processor/rules.ts';
import { AB, BUY, journey, message, onSignUp, order, signUp, WAIT } from '../test/processor/spelling.ts';
import { encodeEvent, type Happening, T0, World } from '../test/scenario.ts';

describe('journeys', () => {
  it.each([...NODES, ...RULES, ...MERGES])('$name', ({ journeys, happenings, expected }) => {
    const world = new World();
    for (const text of journeys) world.add(text);
    expect(world.play(happenings)).toEqual(expected);
    expect(world.harness.deadLetters).toEqual([]);
  });

  it('remembers nothing of a customer no journey cares for', () => {
    const world = new World().add(journey(WAIT));
    world.play([{ event: 'Product Viewed' }, { event: 'Order Completed', amount: 3 }]);
    expect(world.harness.state('c1')).toBeUndefined();
  });

  it('gives messages what let the customer in, and the arm', () => {
    const world = new World().add(journey(AB(1, 0, 0)));
    world.happen({ event: 'Signed Up', props: { plan: 'gold', 'first.touch': 'ads' }, amount: 15.3 });
    const { request } = world.sends[0]!;
    const properties = {
      plan: 'gold',
      'first.touch': 'ads',
      source: 'web',
      order_id: 'o1',
      currency: 'CNY',
      amount: 15.3,
    };
    expect(JSON.parse(request.variablesJson.toString())).toEqual({ event: 'Signed Up', properties, variant: 'a' });
    expect(request).toMatchObject({
      journeyId: 'j',
      version: 1,
      nodeId: 'ma',
      channel: 'email',
      purpose: 'marketing',
      variant: 'a',
    });
  });

  it('keeps at most 2 KB of the trigger, first what its conditions need', () => {
    const branch =
      '{id: b, branch: {ways: [{id: y, conditions: [{trigger: {property: needed, op: eq, value: 7}}], next: m}], otherwise: end}}';
    const world = new World().add(journey(['{id: w, wait: {duration: P1D, next: b}}', branch, message('m', 'end')]));
    const filler = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, 'x'.repeat(20)]));
    world.happen({ event: 'Signed Up', props: { ...filler, needed: 7 } });
    expect(world.harness.state('c1')!.enrolments[0]!.triggerJson.length).toBeLessThanOrEqual(2048);
    expect(world.happen({ at: 'P1D', wait: true })).toContain('c1 SEND m t_m');
  });

  it('gives a step its key by enrolment and node, the same in every run', () => {
    const keys = [1, 2].map(() => {
      const world = new World().add(journey(WAIT));
      world.play([signUp(), { at: 'P3D', wait: true }]);
      return world.sends.map(({ request }) => request.idempotencyKey);
    });
    expect(keys[0]).toHaveLength(1);
    expect(keys[0]).toEqual(keys[1]);
  });

  it('ends an enrolment after 100 nodes', () => {
    const loop = [
      '{id: w, wait: {duration: PT1H, next: b}}',
      '{id: b, branch: {ways: [{id: y, conditions: [{in_segment: never}], next: end}], otherwise: w}}',
    ];
    const world = new World().add(journey(loop));
    const lines = world.play([signUp(), { at: 'P30D', wait: true }]);
    expect(lines.filter((line) => line.includes('REACHED'))).toHaveLength(100);
    expect(lines.at(-1)).toBe('c1 EXITED (step_limit)');
  });

  it('takes its timer along when a wait ends early or the customer leaves', () => {
    const world = new World()
      .add(journey(BUY))
      .add(journey(WAIT, `${onSignUp}, exit_when: [{segment_entered: out}]`).replace('id: j', 'id: k'));
    world.happen(signUp());
    expect([...world.harness.timers.values()].sort()).toEqual([T0 + 3 * 86_400_000, T0 + 7 * 86_400_000]);
    world.play([order('P1D'), { enters: 'out' }]);
    expect(world.harness.timers.size).toBe(0);
  });

  it('who is on a version no longer kept leaves', () => {
    const world = new World().add(journey(WAIT));
    const edits = Array.from(
      { length: 20 },
      (_, i): Happening => ({ edit: journey([WAIT[0]!.replace('P3D', `PT${i + 1}H`), WAIT[1]!]) }),
    );
    const lines = world.play([signUp(), ...edits.slice(0, 19), { wait: true }]);
    expect(lines).toEqual(['c1 ENROLLED', 'c1 REACHED w']);
    expect(world.happen(edits[19]!)).toEqual(['c1 EXITED (version_retired)']);
  });

  it('journeys one event concerns come in the order of their ids, and do not disturb each other', () => {
    const named = (id: string) => journey(WAIT).replace('id: j', `id: ${id}`);
    const world = new World().add(named('zz')).add(named('aa'));
    world.happen(signUp());
    expect(world.steps.map(({ step }) => step.journeyId)).toEqual(['aa', 'aa', 'zz', 'zz']);
    expect(
      world.play([
        { move: 'stop', journey: 'zz' },
        { at: 'P3D', wait: true },
      ]),
    ).toEqual(['c1 EXITED (journey_stopped)', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED end', 'c1 EXITED (end)']);
  });

  it('a definition that cannot be read leaves only its own journey out', () => {
    const world = new World().add(journey(WAIT));
    world.harness.define(
      { kind: 'journey', id: 'bad', revision: 99, deleted: false, body: Buffer.from([0x0a, 0x7f]) },
      T0,
    );
    expect(world.happen(signUp())).toEqual(['c1 ENROLLED', 'c1 REACHED w']);
  });

  it('an event that cannot be decoded is a dead letter and moves nobody', () => {
    const world = new World().add(journey(WAIT));
    const body = Buffer.concat([encodeEvent({ event: 'Signed Up' }, T0), Buffer.from([0x4a, 0x7f])]);
    expect(world.harness.input('c1', RecordKind.RECORD_KIND_EVENT, body, T0)).toEqual([]);
    expect(world.harness.deadLetters).toHaveLength(1);
  });
});

describe('the universal hold-out', () => {
  const settings = HoldOutSettings.fromPartial({ percent: 50, salt: '2026', startTimeMs: T0 + 86_400_000 });
  const ids = Array.from({ length: 40 }, (_, i) => `c${i}`);
  const held = ids.find((id) => isHeldOut(settings, id))!;
  const treated = ids.find((id) => !isHeldOut(settings, id))!;
  const two = [
    message('m', 'n'),
    message('n', 'r'),
    '{id: r, message: {channel: email, template_id: t_r, purpose: transactional, next: end}}',
  ];
  const again = `${onSignUp}, reentry: {rule: always}`;
  const start = () => {
    const world = new World().add(journey(two, again));
    const body = HoldOutSettings.encode(settings).finish();
    world.harness.define({ kind: 'hold_out', id: 'default', revision: 9, deleted: false, body }, T0);
    return world;
  };
  const told = (world: World, happening: Happening) =>
    world.happen(happening).filter((line) => /SEND|EXPOSURE|universal/.test(line));

  it('gets no marketing from its start on, but what is transactional; both sides are exposed once', () => {
    const world = start();
    const all = (who: string) => [`${who} SEND m t_m`, `${who} SEND n t_n`, `${who} SEND r t_r`];
    expect(told(world, signUp('PT1H', held))).toEqual(all(held));
    expect(told(world, signUp('P1D', held))).toEqual([
      `${held} REACHED m (universal_hold_out)`,
      `${held} EXPOSURE universal_hold_out=hold_out held out`,
      `${held} REACHED n (universal_hold_out)`,
      `${held} SEND r t_r`,
    ]);
    expect(told(world, signUp('P2D', treated))).toEqual([
      `${treated} EXPOSURE universal_hold_out=treated`,
      ...all(treated),
    ]);
    expect(told(world, signUp('P3D', treated))).toEqual(all(treated));
    expect(world.exposures.map(({ exposure }) => exposure.nodeId)).toEqual(['m', 'm']);
  });

  it('stays with the older customer in a merge, whoever the other was', () => {
    const world = start();
    world.play([signUp('P1D', held), signUp('P1D', treated), { at: 'P2D', who: treated, mergedInto: held }]);
    expect(told(world, signUp('P3D', held))).toEqual([
      `${held} REACHED m (universal_hold_out)`,
      `${held} REACHED n (universal_hold_out)`,
      `${held} SEND r t_r`,
    ]);
  });
});
