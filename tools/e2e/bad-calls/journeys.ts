import { status } from '@grpc/grpc-js';
import { Journey } from '#gen/recur/journey/v1/journey.ts';
import type { Api } from '#tools/library/api.ts';
import { type BadCall, KB } from './bad-call.ts';

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, ABORTED, FAILED_PRECONDITION } = status;

const PURCHASE = 'trigger: { event: { name: Order Completed } }';
/** A journey in its file form, checked and then stored as its author would. */
const journey =
  (yaml: string, id = 'bad') =>
  async (api: Api): Promise<unknown> => {
    const text = `id: ${id}\nname: Bad\ndefinition:\n  ${yaml.replaceAll('\n', '\n  ')}`;
    const { violations, journey: read } = await api.journey.validateJourney({ form: { $case: 'text', value: text } });
    // What cannot be read at all has no message to be sent.
    if (read === undefined) throw Object.assign(new Error('unreadable'), { code: INVALID_ARGUMENT, violations });
    return api.journey.createJourney({ journey: read, requestId: '' });
  };

export const JOURNEYS: readonly BadCall[] = [
  [
    'no journey',
    (api) => api.journey.createJourney({ journey: undefined, requestId: '' }),
    INVALID_ARGUMENT,
    /journey.*missing/,
  ],
  [
    'a journey of nothing',
    (api) => api.journey.createJourney({ journey: Journey.fromPartial({ id: 'bad' }), requestId: '' }),
    INVALID_ARGUMENT,
    /journey\.definition/,
  ],
  [
    'a circle without a wait',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, message: { channel: email, template_id: welcome_a, purpose: marketing, next: b } }\n  - { id: b, branch: { ways: [{ id: y, conditions: [{ in_segment: buyers }], next: a }], otherwise: c } }\n  - { id: c, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /definition.*(cycle|circle|loop).*/i,
  ],
  [
    'a way to nowhere',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: P1D, next: b } }`),
    INVALID_ARGUMENT,
    /nodes\[0\]\.wait\.next.*"b"/,
  ],
  [
    'a start that is not there',
    journey(`${PURCHASE}\nstart: z\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /definition\.start.*"z"/,
  ],
  [
    'a node nobody comes to',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }\n  - { id: b, exit: {} }`),
    INVALID_ARGUMENT,
    /nodes\[1\].*reach/,
  ],
  [
    'two nodes of one name',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /nodes\[1\]\.id/,
  ],
  [
    'no trigger',
    journey('start: a\nnodes:\n  - { id: a, exit: {} }'),
    INVALID_ARGUMENT,
    /definition\.trigger.*missing/,
  ],
  [
    'a wait of 500 days',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: P500D, next: b } }\n  - { id: b, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /wait\.duration.*400/,
  ],
  [
    'a wait of a while',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: a while, next: b } }\n  - { id: b, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /wait\.duration/,
  ],
  [
    'a message in the hold-out',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, split: { variants: [{ id: x, weight: 1, next: m, hold_out: true }, { id: y, weight: 1, next: e }] } }\n  - { id: m, message: { channel: email, template_id: welcome_a, purpose: marketing, next: e } }\n  - { id: e, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /hold.out/,
  ],
  [
    'a hold-out of 101 %',
    journey(`${PURCHASE}\nhold_out_percent: 101\nstart: a\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /hold_out_percent.*100/,
  ],
  [
    'a journey with a bad id',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }`, '9lives'),
    INVALID_ARGUMENT,
    /journey\.id/,
  ],
  [
    'an unknown field',
    journey(`${PURCHASE}\nstrat: a\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /definition\.strat.*unknown/,
  ],
  [
    'a small file that stands for a huge one',
    journey('a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]'),
    INVALID_ARGUMENT,
    /text.*alias/i,
  ],
  ['a file of 65 KB', journey(`start: ${'x'.repeat(65 * KB)}`), INVALID_ARGUMENT, /text.*64 KB/],
  [
    'an id that is taken',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }`, 'welcome'),
    ALREADY_EXISTS,
    /welcome/,
  ],
  ['an unknown journey', (api) => api.journey.getJourney({ id: 'missing' }), NOT_FOUND, /missing/],
  ['the start of nothing', (api) => api.journey.startJourney({ id: 'missing', requestId: '' }), NOT_FOUND, /missing/],
  [
    'the start of what runs',
    (api) => api.journey.startJourney({ id: 'welcome', requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'the resumption of what runs',
    (api) => api.journey.resumeJourney({ id: 'welcome', requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'the end of what runs',
    (api) => api.journey.deleteJourney({ id: 'welcome', revision: 0, requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'a change of an old revision',
    (api) =>
      api.journey.updateJourney({
        journey: Journey.fromPartial({ id: 'welcome', name: 'x', revision: 999 }),
        updateMask: ['name'],
        requestId: '',
      }),
    ABORTED,
    /welcome|revision/,
  ],
  [
    'a change of an unknown field',
    (api) =>
      api.journey.updateJourney({
        journey: Journey.fromPartial({ id: 'welcome' }),
        updateMask: ['status'],
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /update_mask.*"status"/,
  ],
];
