/**
 * The dumb twin of mvcc: a list of every change ever made, and every question answered by going through it.
 * Compaction only raises the bar for readers. Nothing here is shared with the real store but the checksum.
 */
import { crc32c, keyToBytes } from '@keelson/base';
import { mvccpb } from '@keelson/proto';

export interface ModelChange {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  /** Undefined for a delete. */
  readonly value: string | undefined;
  readonly lease: bigint;
  readonly created: number;
  readonly version: number;
}

export type ModelOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: bigint }
  | { readonly kind: 'delete'; readonly key: string; readonly end: string };

export function covers(key: string, end: string, name: string): boolean {
  if (end === '') return name === key;
  return name >= key && (end === '\0' || name < end);
}

export class Model {
  readonly changes: ModelChange[] = [];
  current = 1;
  compacted = -1;

  apply(operations: readonly ModelOperation[]): ModelChange[] {
    const made: ModelChange[] = [];
    const main = this.current + 1;
    for (const operation of operations) {
      const add = (key: string, value: string | undefined, lease: bigint): void => {
        const last = this.newest(key, main);
        const change: ModelChange = {
          main,
          sub: made.length,
          key,
          value,
          lease,
          created: value === undefined ? 0 : (last?.created ?? main),
          version: value === undefined ? 0 : (last?.version ?? 0) + 1,
        };
        made.push(change);
        this.changes.push(change);
      };
      if (operation.kind === 'put') add(operation.key, operation.value, operation.lease);
      else for (const { key } of this.range(operation.key, operation.end, main)) add(key, undefined, 0n);
    }
    if (made.length > 0) this.current = main;
    return made;
  }

  /** The key as a reader at `revision` sees it; undefined when it does not exist there. */
  newest(key: string, revision: number): ModelChange | undefined {
    const change = this.changes.findLast((each) => each.key === key && each.main <= revision);
    return change?.value === undefined ? undefined : change;
  }

  range(key: string, end: string, revision: number): ModelChange[] {
    const names = new Set(this.changes.map((change) => change.key).filter((name) => covers(key, end, name)));
    return [...names]
      .sort((a, b) => (a < b ? -1 : 1))
      .map((name) => this.newest(name, revision))
      .filter((change) => change !== undefined);
  }

  /** HashKV by its definition. */
  hash(revision: number): number {
    const alive = this.range('', '\0', revision);
    let hash = crc32c(Buffer.from('key'));
    for (const change of this.changes) {
      const { main, sub, key, value } = change;
      const tombstone = value === undefined;
      if (main > revision) continue;
      if (main <= this.compacted) {
        if (main === this.compacted && tombstone) continue;
        // With no key left at the revision nothing is skipped that is still stored.
        if (alive.length > 0 ? !alive.includes(change) : !this.isStored(change)) continue;
      }
      const bucketKey = Buffer.alloc(17);
      bucketKey.writeBigUInt64BE(BigInt(main), 0);
      bucketKey.write('_', 8);
      bucketKey.writeBigUInt64BE(BigInt(sub), 9);
      hash = crc32c(tombstone ? Buffer.concat([bucketKey, Buffer.from('t')]) : bucketKey, hash);
      const kv = new mvccpb.KeyValue({
        key: keyToBytes(key),
        createRevision: change.created,
        modRevision: tombstone ? 0 : main,
        version: change.version,
        value: tombstone ? Buffer.alloc(0) : keyToBytes(value),
        lease: change.lease,
      });
      hash = crc32c(mvccpb.encodeKeyValue(kv), hash);
    }
    return hash;
  }

  /** After all compaction work: above the compacted revision, or the newest at or below it. */
  private isStored(change: ModelChange): boolean {
    const newest = this.changes.findLast(({ key, main }) => key === change.key && main <= this.compacted);
    return change === newest && (change.value !== undefined || change.main === this.compacted);
  }
}
