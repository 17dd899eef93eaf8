import type { ShopZone } from '#lib/facts/facts.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import { type CompiledTrait, compileTrait } from '../core/computed/compile.ts';
import type { DefinitionsView } from '../core/computed-view.ts';
import type { Catalogue } from './catalogue.ts';
import type { InForceReader } from './in-force.ts';

type Traits = DefinitionsView['traits'];

/** How long it is believed that a history is not complete, ms. */
const LOOK_AGAIN_MS = 500;

/** The definitions profiles are shown with: those of now, with what each partition has completed. */
export class DefinitionsViews {
  readonly #catalogue: Catalogue;
  readonly #inForce: InForceReader;
  readonly #zone: ShopZone;
  readonly #partitions: number;
  /** Compiled once for each change. */
  #compiled: { readonly version: number; readonly traits: Traits } = { version: -1, traits: [] };
  /** By partition: bases complete, which they stay, and when it was looked last. */
  readonly #complete = new Map<number, { readonly bases: Set<number>; atMs: number }>();

  constructor(catalogue: Catalogue, inForce: InForceReader, zone: ShopZone, partitions: number) {
    this.#catalogue = catalogue;
    this.#inForce = inForce;
    this.#zone = zone;
    this.#partitions = partitions;
  }

  async of(customerId: string): Promise<DefinitionsView> {
    const traits = this.#traits();
    const bases = await this.#completeIn(partitionOf(customerId, this.#partitions), traits);
    const catalogue = this.#catalogue;
    return {
      traits,
      isComplete: ({ basis }: CompiledTrait) => bases.has(basis),
      tag: (id) => catalogue.tag(id),
      completeness: catalogue.completeness,
    };
  }

  #traits(): Traits {
    const { version, computedTraits } = this.#catalogue;
    if (this.#compiled.version !== version) {
      const traits = computedTraits.map((definition) => ({
        definition,
        compiled: compileTrait(definition, this.#zone),
      }));
      traits.sort((a, b) => (a.definition.id < b.definition.id ? -1 : 1));
      this.#compiled = { version, traits };
    }
    return this.#compiled.traits;
  }

  async #completeIn(partition: number, traits: Traits): Promise<ReadonlySet<number>> {
    const known = this.#complete.get(partition) ?? { bases: new Set<number>(), atMs: 0 };
    this.#complete.set(partition, known);
    const open = traits.filter(({ compiled }) => !known.bases.has(compiled.basis));
    if (open.length === 0 || performance.now() - known.atMs < LOOK_AGAIN_MS) return known.bases;
    known.atMs = performance.now();
    for (const { definition, compiled } of open) {
      if (await this.#inForce.complete(definition, partition)) known.bases.add(compiled.basis);
    }
    return known.bases;
  }
}
