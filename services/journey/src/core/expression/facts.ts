import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import type { Properties } from '../event/properties.ts';
import type { SeenEvent } from '../event/seen.ts';
import type { Run } from '../run.ts';
import { clearTraits } from '../traits.ts';
import { readTrigger } from '../trigger.ts';

const MAX_EVENT_BYTES = 8_192;
const MAX_ITEMS = 100;

/** What expressions read, each part made when first asked for. */
export class Facts {
  readonly #run: Run;
  readonly #event: SeenEvent | undefined;
  readonly #enrolment: Enrolment | undefined;
  #profile: Properties | undefined;
  #properties: Properties | undefined;
  #trigger: Properties | undefined;

  constructor(run: Run, about: { event?: SeenEvent; enrolment?: Enrolment }) {
    this.#run = run;
    this.#event = about.event;
    this.#enrolment = about.enrolment;
  }

  get now(): Date {
    return new Date(this.#run.now);
  }

  get segments(): readonly string[] {
    return this.#run.state.segments;
  }

  get profile(): Properties {
    this.#profile ??= clearTraits(this.#run.state.traits);
    return this.#profile;
  }

  get event(): Properties {
    if (this.#properties !== undefined) return this.#properties;
    const event = this.#event;
    if (event === undefined) return {};
    if (event.propertiesBytes > MAX_EVENT_BYTES) throw new Error('event has more than 8 KB of properties');
    this.#properties = bounded(event.properties, 'event');
    return this.#properties;
  }

  get trigger(): Properties {
    this.#trigger ??= bounded(readTrigger(this.#enrolment?.triggerJson ?? NOTHING).properties ?? {}, 'trigger');
    return this.#trigger;
  }

  get journey(): object | undefined {
    const enrolment = this.#enrolment;
    if (enrolment === undefined) return undefined;
    const { event = '', segment = '' } = readTrigger(enrolment.triggerJson);
    return {
      id: enrolment.journeyId,
      version: BigInt(enrolment.version),
      event,
      segment,
      variant: enrolment.variant,
      entered: new Date(enrolment.enteredMs),
      steps: BigInt(enrolment.steps),
    };
  }
}

const NOTHING = new Uint8Array();

/** Loops go through lists that came from outside. */
function bounded<T>(value: T, name: string): T {
  if (typeof value !== 'object' || value === null) return value;
  const items = Object.values(value);
  if (Array.isArray(value) && items.length > MAX_ITEMS) throw new Error(`${name} has a list of more than 100 items`);
  for (const item of items) bounded(item, name);
  return value;
}
