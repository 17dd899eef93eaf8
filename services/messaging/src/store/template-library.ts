import { LRUCache } from 'lru-cache';
import type { MessagingSettings } from '#gen/recur/messaging/v1/template.ts';
import {
  compileSettings,
  compileTemplate,
  type RawDefinition,
  SETTINGS_KIND,
  type TemplateInForce,
} from '../core/definitions.ts';
import { withDefaults } from '../core/settings.ts';

const KEEP = 2000;

/**
 * Templates the partitions of this process have in force or had lately, by revision: a message is written with the
 * revision it was decided with. Compiling through the library spares parsing a template once per partition.
 */
export class TemplateLibrary {
  private readonly byRevision = new LRUCache<string, TemplateInForce>({ max: KEEP });
  private readonly newest = new LRUCache<string, TemplateInForce>({ max: KEEP });
  private latestSettings: MessagingSettings = withDefaults({});

  readonly compile = (definition: RawDefinition): TemplateInForce | undefined => {
    const key = `${definition.id}@${definition.revision}`;
    const known = this.byRevision.get(key);
    if (known) return known;
    const compiled = compileTemplate(definition);
    if (!compiled) return undefined;
    this.byRevision.set(key, compiled);
    if ((this.newest.get(definition.id)?.revision ?? -1) < compiled.revision) this.newest.set(definition.id, compiled);
    return compiled;
  };

  /** The revision, or the newest one known when it is gone (after a restart with messages still under way). */
  find(id: string, revision: number): TemplateInForce | undefined {
    return this.byRevision.get(`${id}@${revision}`) ?? this.newest.get(id);
  }

  /** Tells of a change of settings; partitions may tell of the same one, in any order. */
  noteSettings(definition: RawDefinition): void {
    if (definition.kind !== SETTINGS_KIND || definition.revision < this.latestSettings.revision) return;
    const compiled = compileSettings(definition);
    if (compiled) this.latestSettings = compiled.settings;
  }

  get settings(): MessagingSettings {
    return this.latestSettings;
  }
}
