import { Aggregate, ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import { Dimension, DimensionSubject, Guests, Metric, Refunds } from '#gen/recur/analytics/v1/metric.ts';
import { IdentifierType, Joining, Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';
import { Journey, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag, TagFamily } from '#gen/recur/profile/v1/tag.ts';
import { TraitType, TraitValueType } from '#gen/recur/profile/v1/trait_type.ts';
import {
  CustomerList,
  HoldOutSettings,
  LifecycleSettings,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import type { MessageCodec } from '../store.ts';

/** A definition as a test handles it. */
export interface Definition {
  readonly id: string;
  readonly revision: number;
}

/** A generated message, whichever it is. */
export interface Message extends MessageCodec<never> {
  fromPartial(from: object): object;
}

/** One kind of definitions, and what the conformance suite must know to try all its calls. */
export interface Kind {
  /** Names the bucket, and the case. */
  readonly kind: string;
  readonly service: 'identity' | 'profile' | 'segmentation' | 'journey' | 'messaging' | 'analytics' | 'experiments';
  /** As the methods are called: CreateSegment, ListSegments. */
  readonly method: string;
  /** Field of requests and answers, and of the list, as generated code calls them. */
  readonly field: string;
  readonly list: string;
  /** As the store keeps it, and as calls carry it where that is something else. */
  readonly message: Message;
  readonly api?: Message;
  /** A good definition that says `text` somewhere. */
  readonly make: (id: string, text: string) => Definition;
  readonly textOf: (definition: never) => string;
  /** Makes it bad; the field that is told. */
  readonly bad: readonly [change: object, field: string];
  /** A definition of another kind that needs this one, and how it is named. */
  readonly user?: readonly [kind: string, make: (id: string, used: string) => Definition, name: string];
}

const spend = (id: string, text: string) =>
  ComputedTrait.fromPartial({
    id,
    englishName: text,
    events: ['Order Completed'],
    aggregation: Aggregation.AGGREGATION_COUNT,
  });
const tag = (id: string, text: string, computedTrait?: string) => {
  const from = { $case: 'computedTrait', value: computedTrait ?? '' } as const;
  const figure = { $case: 'figure', value: 1 } as const;
  const input = { from: computedTrait === undefined ? figure : from };
  return Tag.fromPartial({
    ...{ id, englishName: text, family: TagFamily.TAG_FAMILY_BASIC },
    levels: [{ rule: { condition: { input, number: { atLeast: 1 } } } }],
  });
};
const segment = (id: string, displayName: string, rule: object = { identified: true }) =>
  Segment.fromPartial({ id, displayName, rule });
const dimension = (id: string, displayName: string) =>
  Dimension.fromPartial({
    ...{ id, displayName, owner: 'crm', expression: "traits['city']" },
    subject: DimensionSubject.DIMENSION_SUBJECT_CUSTOMER,
  });
const metric = (id: string, displayName: string, measure: object = {}) =>
  Metric.fromPartial({
    ...{ id, displayName, owner: 'crm', unit: 'count', refunds: Refunds.REFUNDS_NET, guests: Guests.GUESTS_EXCLUDED },
    formula: { $case: 'measure', value: { source: 'orders', numerator: 'count()', ...measure } },
  });
const template = (id: string, name: string) =>
  Template.fromPartial({ id, name, channel: 'email', content: { subject: 'Hello', text: 'Hello' } });
const journey = (id: string, name: string, trigger: object, templateId = '') => {
  const end = { id: 'end', kind: { $case: 'exit', value: { reason: '' } } };
  const message = { channel: 'email', templateId, purpose: 'marketing', next: 'end' };
  const say = { id: 'say', kind: { $case: 'message', value: message } };
  const nodes = templateId === '' ? [end] : [say, end];
  return Journey.fromPartial({ id, name, definition: { trigger, start: nodes[0]?.id, nodes } } as object);
};
const onSignUp = { kind: { $case: 'event', value: { name: 'Signed Up' } } };

/** Every kind of definitions there is. */
export const KINDS: readonly Kind[] = [
  {
    ...{ kind: 'segment', service: 'segmentation', method: 'Segment', field: 'segment', list: 'segments' },
    ...{ message: Segment, make: segment, textOf: (one: Segment) => one.displayName },
    bad: [{ rule: { all: [{ identified: true }, { event: { name: '' } }] } }, 'rule.all[1].event.name'],
    user: [
      'journey',
      (id: string, used: string) => journey(id, 'Reads it', { kind: { $case: 'segmentEntered', value: used } }),
      'journey "its-user"',
    ],
  },
  {
    ...{ kind: 'segment', service: 'segmentation', method: 'Segment', field: 'segment', list: 'segments' },
    ...{ message: Segment, make: segment, textOf: (one: Segment) => one.displayName },
    bad: [{ rule: { segment: 'nobody' } }, 'rule.segment'],
    user: [
      'segment',
      (id: string, used: string) => segment(id, 'Reads it', { not: { segment: used } }),
      'segment "its-user"',
    ],
  },
  {
    ...{ kind: 'customer_list', service: 'segmentation', method: 'CustomerList' },
    ...{ field: 'customerList', list: 'customerLists', message: CustomerList },
    make: (id: string, displayName: string) => CustomerList.fromPartial({ id, displayName }),
    textOf: (one: CustomerList) => one.displayName,
    bad: [{ displayName: 'x'.repeat(201) }, 'display_name'],
    user: [
      'segment',
      (id: string, used: string) => segment(id, 'Reads it', { list: { id: used } }),
      'segment "its-user"',
    ],
  },
  {
    ...{ kind: 'computed_trait', service: 'profile', method: 'ComputedTrait' },
    ...{ field: 'computedTrait', list: 'computedTraits', message: ComputedTrait, make: spend },
    textOf: (one: ComputedTrait) => one.englishName,
    bad: [{ events: [] }, 'events'],
    user: ['tag', (id: string, used: string) => tag(id, 'Reads it', used), 'tag "its-user"'],
  },
  {
    ...{ kind: 'tag', service: 'profile', method: 'Tag', field: 'tag', list: 'tags', message: Tag, make: tag },
    textOf: (one: Tag) => one.englishName,
    bad: [{ levels: [] }, 'levels'],
    user: [
      'segment',
      (id: string, used: string) => segment(id, 'Reads it', { tag: { id: used } }),
      'segment "its-user"',
    ],
  },
  {
    ...{ kind: 'trait_type', service: 'profile', method: 'TraitType', field: 'traitType', list: 'traitTypes' },
    ...{ message: TraitType, textOf: (one: TraitType) => one.englishName },
    make: (id: string, text: string) =>
      TraitType.fromPartial({ id, name: id, englishName: text, type: TraitValueType.TRAIT_VALUE_TYPE_STRING }),
    bad: [{ type: 0 }, 'type'],
  },
  {
    ...{ kind: 'identifier_type', service: 'identity', method: 'IdentifierType' },
    ...{ field: 'identifierType', list: 'identifierTypes', message: IdentifierType },
    make: (id: string, description: string) =>
      IdentifierType.fromPartial({
        ...{ id: id.replaceAll('-', '_'), description, limit: 1, priority: 10 },
        ...{ normalisation: Normalisation.NORMALISATION_TRIM, joins: Joining.JOINING_ANYBODY },
      }),
    textOf: (one: IdentifierType) => one.description,
    bad: [{ limit: 0 }, 'identifier_type.limit'],
  },
  {
    ...{ kind: 'template', service: 'messaging', method: 'Template', field: 'template', list: 'templates' },
    ...{ message: Template, make: template, textOf: (one: Template) => one.name },
    bad: [{ content: { subject: '{{ broken', text: 'x' } }, 'template.content.subject'],
    user: ['journey', (id: string, used: string) => journey(id, 'Sends it', onSignUp, used), 'journey "its-user"'],
  },
  {
    ...{ kind: 'journey', service: 'journey', method: 'Journey', field: 'journey', list: 'journeys' },
    ...{ message: StoredJourney, api: Journey },
    make: (id: string, name: string) => journey(id, name, onSignUp),
    textOf: (one: Journey | StoredJourney) => ('journey' in one ? one.journey?.name : one.name) ?? '',
    bad: [{ definition: { start: 'nowhere', nodes: [] } }, 'journey.definition.nodes'],
  },
  {
    ...{ kind: 'dimension', service: 'analytics', method: 'Dimension', field: 'dimension', list: 'dimensions' },
    ...{ message: Dimension, textOf: (one: Dimension) => one.displayName },
    make: (id: string, text: string) => dimension(id.replaceAll('-', '_'), text),
    bad: [{ expression: '' }, 'dimension.expression'],
    user: [
      'metric',
      (id: string, used: string) => metric(id.replaceAll('-', '_'), 'Reads it', { dimensions: [used] }),
      'metric "its_user"',
    ],
  },
  {
    ...{ kind: 'metric', service: 'analytics', method: 'Metric', field: 'metric', list: 'metrics' },
    ...{ message: Metric, textOf: (one: Metric) => one.displayName },
    make: (id: string, text: string) => metric(id.replaceAll('-', '_'), text),
    bad: [{ unit: 'bananas' }, 'metric.unit'],
    user: [
      'metric',
      (id: string, used: string) => ({
        ...metric(id.replaceAll('-', '_'), 'Reads it'),
        formula: { $case: 'sql', value: `SELECT value FROM m_${used}` },
      }),
      'metric "its_user"',
    ],
  },
  {
    ...{ kind: 'experiment_plan', service: 'experiments', method: 'ExperimentPlan', field: 'plan', list: 'plans' },
    ...{ message: ExperimentPlan, textOf: (one: ExperimentPlan) => one.displayName },
    make: (id: string, displayName: string) =>
      ExperimentPlan.fromPartial({
        ...{ id, displayName },
        metrics: [{ name: 'visits', events: ['page'], aggregate: Aggregate.AGGREGATE_EVENTS }],
      }),
    bad: [{ arms: [{ variant: 'a', weight: 1 }] }, 'plan.arms'],
  },
] as unknown as Kind[];

export interface Settings {
  readonly kind: string;
  readonly service: Kind['service'];
  readonly method: string;
  readonly message: Message;
  readonly change: (n: number) => object;
  readonly bad: readonly [change: object, field: string];
}

/** Kinds that have one definition, there from the start. */
export const SETTINGS: readonly Settings[] = [
  {
    ...{
      kind: 'rfm',
      message: RfmSettings,
      service: 'segmentation',
      method: 'RfmSettings',
      bad: [{ recencyDays: 0 }, 'recency_days'],
    },
    change: (n: number) => ({ recencyDays: 10 + n, frequency: 1, monetaryMicros: 1e9, monetaryBasis: 1 }),
  },
  {
    ...{ kind: 'lifecycle', message: LifecycleSettings, service: 'segmentation', method: 'LifecycleSettings' },
    bad: [{ lostDays: 1 }, 'lost_days'],
    change: (n: number) => ({ activeOrders: 2, loyalOrders: 5, atRiskDays: 10 + n, lostDays: 180 }),
  },
  {
    ...{ kind: 'hold_out', message: HoldOutSettings, service: 'segmentation', method: 'HoldOutSettings' },
    bad: [{ percent: 60 }, 'percent'],
    change: (n: number) => ({ percent: (n + 1) / 100, salt: 'x', startTimeMs: 0 }),
  },
  {
    ...{ kind: 'completeness', message: CompletenessSettings, service: 'profile', method: 'CompletenessSettings' },
    bad: [{ traits: [''] }, 'traits[0]'],
    change: (n: number) => ({ traits: [`trait-${n}`], identifiers: ['email'] }),
  },
  {
    ...{ kind: 'messaging_settings', message: MessagingSettings, service: 'messaging', method: 'MessagingSettings' },
    bad: [{ quietStart: '25:00' }, 'settings.quiet_start'],
    change: (n: number) => ({ capMessages: n + 1, shopName: `Shop ${n}` }),
  },
] as unknown as Settings[];
