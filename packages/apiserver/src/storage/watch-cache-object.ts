/**
 * One object as the watch cache has it: its JSON, and an index record (key, revision, labels, selectable fields) by
 * which selections are decided without decoding. The value is decoded when somebody asks and kept only among the
 * values used last, so that a cache of many objects costs their bytes and little more.
 */

import { keyFromBytes, ownBytes } from '@keelson/base';

import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { ownText } from '../api/own-text.ts';
import { matchesFields, matchesLabels } from '../api/selectors.ts';
import { readJson } from '../codec/json-reader.ts';
import { writeJson } from '../codec/json-writer.ts';
import { corrupt } from './encoded-object.ts';
import type { Selection, StorageResource, StoredObject } from './storage.ts';

/**
 * Decoded values, bounded by the JSON they were made of. Two generations: what is used joins the young one, and when
 * that is full, whatever the old one has that was not used since is forgotten.
 */
export class ValueKeeper {
  /** Of the running young generation. */
  generation = 1;
  private readonly bytesMax: number;
  private young: CachedObject[] = [];
  private old: CachedObject[] = [];
  private youngBytes = 0;

  /** @param bytesMax of JSON in both generations; about three times as much memory */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  used(object: CachedObject): void {
    this.young.push(object);
    this.youngBytes += object.size;
    if (this.youngBytes * 2 <= this.bytesMax) return;
    for (const each of this.old) each.forget(this.generation);
    this.old = this.young;
    this.young = [];
    this.youngBytes = 0;
    this.generation += 1;
  }
}

export class CachedObject implements StoredObject {
  readonly key: string;
  /** The key in the order of its bytes. */
  readonly order: string;
  readonly revision: number;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly fields: Readonly<Record<string, string>>;
  private readonly text: Buffer;
  private readonly keeper: ValueKeeper;
  private decoded: KubeObject | undefined;
  private generation = 0;

  private constructor(
    record: Pick<CachedObject, 'key' | 'order' | 'revision' | 'labels' | 'fields'>,
    text: Buffer,
    decoded: KubeObject | undefined,
    keeper: ValueKeeper,
  ) {
    this.key = record.key;
    this.order = record.order;
    this.revision = record.revision;
    this.labels = record.labels;
    this.fields = record.fields;
    this.text = text;
    this.keeper = keeper;
    this.decoded = decoded;
    if (decoded !== undefined) this.use();
  }

  /**
   * The copy that is kept; nothing of `stored` but its JSON and value is held.
   *
   * @throws StorageError CORRUPT_OBJECT
   */
  static of(stored: StoredObject, resource: StorageResource, keeper: ValueKeeper): CachedObject {
    const { value, revision } = stored;
    const key = ownText(stored.key);
    const { labels } = value.metadata;
    const record = {
      key,
      order: orderOf(key),
      revision,
      labels: labels === undefined ? undefined : ownTexts(labels),
      fields: ownTexts(resource.fieldsOf(value)),
    };
    return new CachedObject(record, ownBytes(stored.json()), value, keeper);
  }

  get value(): KubeObject {
    if (this.decoded === undefined) {
      try {
        // What was an object when it was written is one when it is read.
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        this.decoded = readJson(this.text.toString('utf8')) as unknown as KubeObject;
      } catch (error) {
        throw corrupt(this.key, this.revision, error);
      }
    }
    if (this.generation !== this.keeper.generation) this.use();
    return this.decoded;
  }

  json(): Buffer {
    return this.text;
  }

  /** Of its JSON, bytes. */
  get size(): number {
    return this.text.length;
  }

  isSelected({ labels, fields }: Selection): boolean {
    return matchesLabels(labels, this.labels) && matchesFields(fields, this.fields);
  }

  /** The same state under another revision: what is gone shows the revision of the change. */
  at(revision: number): CachedObject {
    const { value } = this;
    const moved = { ...value, metadata: { ...value.metadata, resourceVersion: String(revision) } };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object is JSON by its law (api/meta.ts)
    const text = Buffer.from(writeJson(moved as unknown as Json), 'utf8');
    const { key, order, labels, fields } = this;
    return new CachedObject({ key, order, revision, labels, fields }, text, undefined, this.keeper);
  }

  /** For the keeper: drops the value unless it was used in its youngest generation. */
  forget(generation: number): void {
    if (this.generation < generation) this.decoded = undefined;
  }

  private use(): void {
    this.generation = this.keeper.generation;
    this.keeper.used(this);
  }
}

/** A key as a sorted map wants it; names are ASCII but for a few kinds. */
export function orderOf(key: string): string {
  // oxlint-disable-next-line no-control-regex -- ASCII is meant
  return /^[\0-\x7f]*$/.test(key) ? key : keyFromBytes(Buffer.from(key, 'utf8'));
}

function ownTexts(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [ownText(name), ownText(text)]));
}
