import type { EventMatch } from '#gen/recur/journey/v1/journey.ts';
import { Event, type Trait } from '#gen/recur/log/v1/event.ts';
import { DAY_MS } from '../definition/duration.ts';
import { holds } from './condition.ts';
import { mayCarryTraits, requestName } from './peek.ts';
import { type Properties, parseObject, propertiesOf } from './properties.ts';

/** Events that happened longer before they came in move nobody: imported history must not welcome old customers. */
export const MAX_EVENT_AGE_MS = 3 * DAY_MS;

/** Channel of the events journeys emit. */
export const SOURCE = 'journey';

/** An event somebody may wait for. The body is decoded when first needed, once. */
export class SeenEvent {
  readonly name: string;
  readonly #body: Uint8Array;
  #event: Event | undefined;
  #properties: Properties | undefined;

  constructor(name: string, body: Uint8Array) {
    this.name = name;
    this.#body = body;
  }

  /** Somebody asked for it (EnrolCustomers, Broadcast). */
  get isRequest(): boolean {
    return this.name.startsWith(requestName(''));
  }

  /** It may say something of the customer. */
  get carriesTraits(): boolean {
    return mayCarryTraits(this.name);
  }

  get traits(): readonly Trait[] {
    return this.#decoded().traits;
  }

  get timeMs(): number {
    return this.#decoded().timeMs;
  }

  /** How many journeys one after another emitted events up to this one. */
  get hops(): number {
    const { source, contextJson } = this.#decoded();
    const { hops } = source === SOURCE ? parseObject(contextJson) : {};
    return Number.isInteger(hops) ? Number(hops) : 0;
  }

  /** Of its properties as they came. */
  get propertiesBytes(): number {
    return this.#decoded().propertiesJson.length;
  }

  get properties(): Properties {
    this.#properties ??= propertiesOf(this.#decoded());
    return this.#properties;
  }

  /** @param trigger reads the properties of what let the customer in, who is under way; only called where a condition compares */
  matches(match: EventMatch | undefined, trigger?: () => Properties | undefined): boolean {
    if (match === undefined || match.name !== this.name) return false;
    const isCompared = match.where.some(({ triggerProperty }) => triggerProperty !== '');
    const compared = isCompared ? trigger?.() : undefined;
    return match.where.every((condition) => holds(condition, this.properties, compared));
  }

  #decoded(): Event {
    this.#event ??= Event.decode(this.#body);
    return this.#event;
  }
}
