/**
 * Selecting by fields that a stored object does not have: a custom kind names fields version by version, and where a
 * webhook converts, only what it answers tells their values. The storage then selects by the rest, and what it gives
 * is converted and looked at here. Fields of other kinds are the storage's alone.
 *
 * Modelled on what apiextensions-apiserver does by keeping a cache of converted objects for each version.
 */

import type { KubeObject } from '../api/meta.ts';
import { matchesFields, type FieldRequirement } from '../api/selectors.ts';
import { settled } from '../registry/conversions.ts';
import { withMetadata } from '../registry/generation.ts';
import type { ListResult, ObjectEvent, Selection, StoredObject, WatchEvent } from '../storage/storage.ts';
import { writeJson } from '../codec/json-writer.ts';
import { asJson } from '../codec/object-codec.ts';
import { prepareShown } from './answer.ts';
import type { Scope } from './scope.ts';

const STORED_FIELDS: ReadonlySet<string> = new Set(['metadata.name', 'metadata.namespace']);

export class ConvertedSelection {
  /** What the storage selects by. */
  readonly stored: Selection;
  private readonly scope: Scope;
  private readonly fields: readonly FieldRequirement[];

  constructor(scope: Scope, selection: Selection) {
    this.scope = scope;
    const converts = scope.served.definition.prepareConversion !== undefined;
    this.fields = converts ? selection.fields.filter(({ field }) => !STORED_FIELDS.has(field)) : [];
    this.stored =
      this.fields.length === 0
        ? selection
        : { ...selection, fields: selection.fields.filter(({ field }) => STORED_FIELDS.has(field)) };
  }

  /** Whether the storage's selection is all there is. */
  get isStored(): boolean {
    return this.fields.length === 0;
  }

  /** Those that are selected. @throws ApiError of a conversion */
  async chosen(objects: readonly StoredObject[]): Promise<readonly StoredObject[]> {
    if (this.isStored) return objects;
    // What was asked for may be forgotten before it is looked at, where others ask for much.
    return await settled(async () => {
      await prepareShown(this.scope, () => objects.map(({ value }) => value));
      return objects.filter(({ value }) => this.selects(this.shown(value)));
    });
  }

  /** A page may come to hold fewer than were asked for; how many follow nobody knows. */
  async page(page: ListResult): Promise<ListResult> {
    if (this.isStored) return page;
    const { revision } = page;
    return { objects: await this.chosen(page.objects), revision, continue: page.continue };
  }

  /** The events as the selection sees them, of objects in the request's version. @throws ApiError of a conversion */
  async events(events: readonly WatchEvent[]): Promise<readonly WatchEvent[]> {
    return await settled(async () => {
      await prepareShown(this.scope, () =>
        events.flatMap((event) => ('object' in event ? valuesOf(event) : [])),
      );
      if (this.isStored) return events;
      return events.flatMap((event): WatchEvent[] => {
        if (!('object' in event)) return [event];
        const seen = this.event(event);
        return seen === undefined ? [] : [seen];
      });
    });
  }

  private event(event: ObjectEvent): ObjectEvent | undefined {
    const { type, object, previous } = event;
    const before = previous && this.shown(previous.value);
    const then = before !== undefined && this.selects(before);
    if (type === 'DELETED') {
      const last = this.shown(object.value);
      return (before === undefined ? this.selects(last) : then)
        ? { ...event, object: as(object, last) }
        : undefined;
    }
    const next = this.shown(object.value);
    if (this.selects(next)) return { ...event, type: then ? 'MODIFIED' : 'ADDED', object: as(object, next) };
    if (!then) return undefined;
    // As it was before, with the revision of the change.
    const { resourceVersion } = next.metadata;
    const gone = withMetadata(before, resourceVersion === undefined ? {} : { resourceVersion });
    return { ...event, type: 'DELETED', object: as(object, gone) };
  }

  private shown(object: KubeObject): KubeObject {
    const { parts, served } = this.scope;
    return parts.scheme.toServed(served, object);
  }

  private selects(object: KubeObject): boolean {
    const values = this.scope.served.definition.selectable?.values(object) ?? {};
    return matchesFields(this.fields, values);
  }
}

function valuesOf({ object, previous }: ObjectEvent): KubeObject[] {
  return previous === undefined ? [object.value] : [object.value, previous.value];
}

/** The stored object, converted. */
function as({ key, revision }: StoredObject, value: KubeObject): StoredObject {
  return { key, revision, value, json: () => Buffer.from(writeJson(asJson(value))) };
}
