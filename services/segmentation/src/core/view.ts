import type { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { Search } from '#gen/recur/segmentation/v1/state.ts';
import { type Facts, newFacts, type OrderFigures, orderFigures, type ShopZone, topCategory } from '#lib/facts/facts.ts';
import { Members } from './members.ts';
import { Purchases } from './purchases.ts';
import { Told } from './told.ts';

/** In force until somebody says otherwise. */
export const NO_HOLD_OUT: HoldOutSettings = { percent: 0, salt: '', startTimeMs: 0, revision: 0 };

/** What rules may ask about a customer at a moment. Reused for every customer; figures are worked out once when asked for. */
export class View {
  readonly zone: ShopZone;
  customerId = '';
  facts: Facts = newFacts();
  searches: readonly Search[] = [];
  members = new Members();
  told = new Told();
  purchases = new Purchases();
  holdOut: HoldOutSettings = NO_HOLD_OUT;
  rfmClass = '';
  lifecycleStage = '';
  #now = 0;
  #today = Number.NaN;
  #figures: OrderFigures | undefined;
  #top: string | undefined;

  constructor(zone: ShopZone) {
    this.zone = zone;
  }

  get now(): number {
    return this.#now;
  }

  /** Milliseconds since 1970. */
  set now(ms: number) {
    this.#now = ms;
    this.#today = Number.NaN;
  }

  /** Calendar day of `now` in the shop's time zone. */
  get today(): number {
    if (Number.isNaN(this.#today)) this.#today = this.zone.dayOf(this.#now);
    return this.#today;
  }

  get figures(): OrderFigures {
    this.#figures ??= orderFigures(this.facts);
    return this.#figures;
  }

  /** Empty when there is none. */
  get topCategory(): string {
    this.#top ??= topCategory(this.facts);
    return this.#top;
  }

  /** Must be called when facts have changed. */
  factsChanged(): void {
    this.#figures = undefined;
    this.#top = undefined;
  }
}
