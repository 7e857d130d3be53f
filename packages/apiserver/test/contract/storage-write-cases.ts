/**
 * The storage contract, part one: get, create, update, delete. Cases follow kubernetes/apiserver pkg/storage/testing
 * (store_tests.go); each names the one it stands for.
 */

import { expect } from '@jest/globals';

import {
  expectCode,
  expectStatus,
  nodeOf,
  pod,
  Reader,
  refusal,
  valueOf,
  withNode,
  type Case,
} from './storage-harness.ts';
import type { TryUpdate, ValueTransformer } from '../../src/storage/storage.ts';

/** Puts a mark before the value; what lacks it is stale, what has another is refused. */
const marked: ValueTransformer = {
  toStorage: (value) => Buffer.concat([Buffer.from('mark:'), value]),
  fromStorage(value) {
    if (value.subarray(0, 5).toString('latin1') === 'mark:') {
      return Promise.resolve({ value: value.subarray(5), stale: false });
    }
    if (value.subarray(0, 5).toString('latin1') === 'lost:') throw new Error('the key is gone');
    return { value, stale: true };
  },
};

export const WRITE_CASES: readonly Case[] = [
  {
    name: 'create: the object with its revision; what is stored has none (TestCreate)',
    async run(c) {
      const before = await c.storage.currentRevision();
      const made = await c.storage.create(
        c.key('a'),
        // An object that is copied brings a selfLink of old.
        {
          ...pod('a', { uid: 'u1' }),
          metadata: { ...pod('a', { uid: 'u1' }).metadata, selfLink: '/x' } as never,
        },
      );
      expect(made.revision).toBe(before + 1);
      expect(made.key).toBe(c.key('a'));
      expect(made.value.metadata).toEqual({
        name: 'a',
        namespace: 'ns',
        uid: 'u1',
        resourceVersion: String(made.revision),
      });
      const bytes = await c.under.read(c.full('a'));
      expect(bytes?.subarray(0, 4).toString('latin1')).toBe('k8s\0');
      expect(bytes?.includes('/x')).toBe(false);
      expect(made.json()).toBe(made.json());
      expect(JSON.parse(made.json().toString())).toEqual(made.value);
    },
  },
  {
    name: 'create: a key that exists (TestCreateWithKeyExist)',
    async run(c) {
      await c.create('a');
      const error = await expectCode(c.create('a'), 'KEY_EXISTS');
      expect(error.message).toBe(
        `StorageError: key exists, Code: 2, Key: ${c.full('a')}, ResourceVersion: 0, AdditionalErrorMsg: `,
      );
    },
  },
  {
    name: 'create: not with a resourceVersion',
    async run(c) {
      const value = { ...pod('a'), metadata: { ...pod('a').metadata, resourceVersion: '7' } };
      const error = await refusal(c.storage.create(c.key('a'), value));
      expect(error.message).toBe('resourceVersion should not be set on objects to be created');
    },
  },
  {
    name: 'create: with a time to live the object goes by itself (TestCreateWithTTL)',
    async run(c) {
      const made = await c.storage.create(c.key('a'), pod('a'), { ttlSeconds: 1 });
      const watch = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(made.revision) }));
      expect(await watch.take(1, made.revision)).toEqual(['DELETED a @1']);
      watch.stop();
      await expectCode(c.storage.get(c.key('a')), 'KEY_NOT_FOUND');
    },
  },
  {
    name: 'get (TestGet)',
    async run(c) {
      const made = await c.create('a', { node: 'n1' });
      for (const resourceVersion of ['', '0', String(made.revision), String(made.revision - 1)]) {
        const found = await c.storage.get(c.key('a'), { resourceVersion });
        expect(found.value).toEqual(made.value);
      }
      await expectCode(c.storage.get(c.key('b')), 'KEY_NOT_FOUND');
      const late = await expectStatus(
        c.storage.get(c.key('a'), { resourceVersion: String(made.revision + 1000) }),
        504,
      );
      expect(late.message).toBe(
        `Timeout: Too large resource version: ${made.revision + 1000}, current: ${made.revision}`,
      );
      // A store says that the request is bad, a cache passes on what it could not parse: as the original's.
      const odd = await refusal(c.storage.get(c.key('a'), { resourceVersion: 'x' }));
      expect(odd.message).toMatch(
        /^(invalid resource version: )?resourceVersion: Invalid value: "x": strconv\.ParseUint: parsing "x": invalid syntax$/,
      );
      expect(odd).toMatchObject({ code: odd.message.startsWith('invalid') ? 400 : 500 });
    },
  },
  {
    name: 'get: JSON is read where protobuf is written; rubbish is a corrupt object',
    async run(c) {
      await c.under.write(c.full('a'), Buffer.from(JSON.stringify(pod('a', { node: 'n1' }))));
      const found = await c.storage.get(c.key('a'));
      expect(nodeOf(found)).toBe('n1');
      await c.under.write(c.full('b'), Buffer.from('no object'));
      await expectCode(c.storage.get(c.key('b')), 'CORRUPT_OBJECT');
      await expectCode(c.storage.delete(c.key('b')), 'CORRUPT_OBJECT');
      await c.storage.delete(c.key('b'), { ignoreReadErrors: true });
      await expectCode(c.storage.get(c.key('b')), 'KEY_NOT_FOUND');
    },
  },
  {
    name: 'keys that climb are refused (TestPrepareKey)',
    async run(c) {
      for (const key of ['', '/', '..', '../a', '/a/..', '/a/../b', '.', './a', '/a/.', '/a/./b']) {
        expect((await refusal(c.storage.get(key))).message).toMatch(/^(invalid|empty) key: /);
      }
    },
  },
  {
    name: 'delete: whatever it is (TestUnconditionalDelete)',
    async run(c) {
      const made = await c.create('a');
      const deleted = await c.storage.delete(c.key('a'));
      expect(deleted.revision).toBe(made.revision + 1);
      expect(deleted.value.metadata.resourceVersion).toBe(String(made.revision + 1));
      await expectCode(c.storage.delete(c.key('a')), 'KEY_NOT_FOUND');
    },
  },
  {
    name: 'delete: on conditions (TestConditionalDelete)',
    async run(c) {
      const made = await c.create('a', { uid: 'A' });
      const byUid = await expectCode(
        c.storage.delete(c.key('a'), { preconditions: { uid: 'B' } }),
        'INVALID_OBJECT',
      );
      expect(byUid.message).toContain('Precondition failed: UID in precondition: B, UID in object meta: A');
      const byVersion = await expectCode(
        c.storage.delete(c.key('a'), { preconditions: { resourceVersion: '1' } }),
        'INVALID_OBJECT',
      );
      expect(byVersion.message).toContain(
        `ResourceVersion in precondition: 1, ResourceVersion in object meta: ${made.revision}`,
      );
      await c.storage.delete(c.key('a'), {
        preconditions: { uid: 'A', resourceVersion: String(made.revision) },
      });
    },
  },
  {
    name: 'delete: a copy that is current saves the read, one that is old does not harm (TestDeleteWithSuggestionAndConflict)',
    async run(c) {
      const old = await c.create('a');
      await c.update('a', 'n1');
      const deleted = await c.storage.delete(c.key('a'), { cached: old });
      expect(nodeOf(deleted)).toBe('n1');
      const again = await c.create('a');
      await c.storage.delete(c.key('a'), { cached: again });
      await expectCode(c.storage.delete(c.key('a'), { cached: again }), 'KEY_NOT_FOUND');
    },
  },
  {
    name: 'delete: somebody writes in between (TestDeleteWithConflict)',
    async run(c) {
      await c.create('a');
      let calls = 0;
      const deleted = await c.storage.delete(c.key('a'), {
        async validate(current) {
          calls += 1;
          if (calls === 1) await c.update('a', 'n1');
          else expect(nodeOf(current)).toBe('n1');
        },
      });
      expect([calls, nodeOf(deleted)]).toEqual([2, 'n1']);
    },
  },
  {
    name: 'delete: validation of an old copy is asked again (TestValidateDeletionWithSuggestion)',
    async run(c) {
      const old = await c.create('a');
      await c.update('a', 'n1');
      const seen: string[] = [];
      await c.storage.delete(c.key('a'), {
        cached: old,
        validate(current) {
          seen.push(nodeOf(current));
          if (nodeOf(current) !== 'n1') throw new Error('must not go');
        },
      });
      expect(seen).toEqual(['', 'n1']);

      const fresh = await c.create('b');
      let calls = 0;
      const refused = c.storage.delete(c.key('b'), {
        cached: fresh,
        validate() {
          calls += 1;
          throw new Error('must not go');
        },
      });
      expect((await refusal(refused)).message).toBe('must not go');
      // The copy was current, so nothing would have changed.
      expect(calls).toBe(1);
    },
  },
  {
    name: 'delete: an old copy that validates and a newer one that does not (TestValidateDeletionWithOnlySuggestionValid)',
    async run(c) {
      const old = await c.create('a', { node: 'x' });
      await c.update('a', 'n1');
      const refused = c.storage.delete(c.key('a'), {
        cached: old,
        validate(current) {
          if (nodeOf(current) !== 'x') throw new Error('must not go');
        },
      });
      expect((await refusal(refused)).message).toBe('must not go');
      expect(nodeOf(await c.storage.get(c.key('a')))).toBe('n1');
    },
  },
  {
    name: 'delete: conditions with an old copy (TestPreconditionalDeleteWithSuggestion, …WithOnlySuggestionPass)',
    async run(c) {
      const first = await c.create('a', { uid: 'old' });
      await c.storage.delete(c.key('a'));
      await c.create('a', { uid: 'new' });
      await expectCode(
        c.storage.delete(c.key('a'), { cached: first, preconditions: { uid: 'old' } }),
        'INVALID_OBJECT',
      );
      await c.storage.delete(c.key('a'), { cached: first, preconditions: { uid: 'new' } });
    },
  },
  {
    name: 'update: of what does not exist (TestGuaranteedUpdate)',
    async run(c) {
      const update: TryUpdate = (current) => {
        expect(current).toBeUndefined();
        return { value: pod('a', { node: 'n1' }) };
      };
      await expectCode(c.storage.guaranteedUpdate(c.key('a'), update), 'KEY_NOT_FOUND');
      const failed = c.storage.guaranteedUpdate(c.key('a'), update, {
        ignoreNotFound: true,
        preconditions: { uid: 'A' },
      });
      expect((await expectCode(failed, 'INVALID_OBJECT')).message).toContain(
        'UID in precondition: A, UID in object meta: ',
      );
      const made = await c.storage.guaranteedUpdate(c.key('a'), update, { ignoreNotFound: true });
      expect((await c.storage.get(c.key('a'))).revision).toBe(made.revision);
    },
  },
  {
    name: 'update: a change is written, none is not (TestGuaranteedUpdate)',
    async run(c) {
      const made = await c.create('a', { uid: 'A' });
      const changed = await c.storage.guaranteedUpdate(
        c.key('a'),
        (current) => ({ value: withNode(valueOf(current), 'n1') }),
        { preconditions: { uid: 'A', resourceVersion: String(made.revision) } },
      );
      expect([changed.revision, nodeOf(changed)]).toEqual([made.revision + 1, 'n1']);
      const same = await c.storage.guaranteedUpdate(c.key('a'), (current) => ({ value: valueOf(current) }));
      expect(same.revision).toBe(changed.revision);
      await expectCode(
        c.storage.guaranteedUpdate(c.key('a'), (current) => ({ value: valueOf(current) }), {
          preconditions: { uid: 'B' },
        }),
        'INVALID_OBJECT',
      );
    },
  },
  {
    name: 'update: what is stale is written although nothing changes (TestGuaranteedUpdateChecksStoredData, TestTransformationFailure)',
    async run(c) {
      const plain = await c.create('a');
      const storage = c.with({ transformer: marked });
      const first = await storage.guaranteedUpdate(c.key('a'), (current) => ({ value: valueOf(current) }));
      expect(first.revision).toBe(plain.revision + 1);
      expect((await c.under.read(c.full('a')))?.subarray(0, 5).toString()).toBe('mark:');
      const second = await storage.guaranteedUpdate(c.key('a'), (current) => ({ value: valueOf(current) }));
      expect(second.revision).toBe(first.revision);

      await c.under.write(c.full('b'), Buffer.from('lost:x'));
      const unreachable = (): never => {
        throw new Error('never asked');
      };
      await expectCode(storage.get(c.key('b')), 'CORRUPT_OBJECT');
      await expectCode(storage.guaranteedUpdate(c.key('b'), unreachable), 'CORRUPT_OBJECT');
      await expectCode(storage.delete(c.key('b'), { validate: unreachable }), 'CORRUPT_OBJECT');
      await expectCode(storage.list(c.prefix), 'CORRUPT_OBJECT');
    },
  },
  {
    name: 'update: a time to live can be given later (TestGuaranteedUpdateWithTTL)',
    async run(c) {
      const made = await c.storage.guaranteedUpdate(c.key('a'), () => ({ value: pod('a'), ttlSeconds: 1 }), {
        ignoreNotFound: true,
      });
      const watch = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(made.revision) }));
      expect(await watch.take(1, made.revision)).toEqual(['DELETED a @1']);
      watch.stop();
    },
  },
  {
    name: 'update: somebody writes in between (TestGuaranteedUpdateWithConflict)',
    async run(c) {
      await c.create('a');
      const seen: string[] = [];
      const updated = await c.storage.guaranteedUpdate(c.key('a'), async (current) => {
        const value = valueOf(current);
        seen.push(current === undefined ? 'none' : nodeOf(current));
        if (seen.length === 1) await c.update('a', 'n1');
        return { value: { ...withNode(value, 'n2') } };
      });
      expect(seen).toEqual(['', 'n1']);
      expect(nodeOf(updated)).toBe('n2');
      const all = await Promise.all(
        Array.from({ length: 10 }, () =>
          c.storage.guaranteedUpdate(c.key('a'), (current) => ({
            value: withNode(valueOf(current), `${current === undefined ? '' : nodeOf(current)}+`),
          })),
        ),
      );
      expect(new Set(all.map(({ revision }) => revision)).size).toBe(10);
      expect(nodeOf(await c.storage.get(c.key('a')))).toBe('n2++++++++++');
    },
  },
  {
    name: 'update: it is deleted in between (TestGuaranteedUpdate…)',
    async run(c) {
      await c.create('a');
      const update = c.storage.guaranteedUpdate(c.key('a'), async (current) => {
        await c.storage.delete(c.key('a'));
        return { value: withNode(valueOf(current), 'n1') };
      });
      await expectCode(update, 'KEY_NOT_FOUND');
    },
  },
  {
    name: 'update: with an old copy (TestGuaranteedUpdateWithSuggestionAndConflict)',
    async run(c) {
      const old = await c.create('a', { uid: 'A' });
      const newer = await c.update('a', 'n1');
      // What the old copy leads to is refused, and asked again of the newest.
      const seen: string[] = [];
      const updated = await c.storage.guaranteedUpdate(
        c.key('a'),
        (current) => {
          const node = current === undefined ? 'none' : nodeOf(current);
          seen.push(node);
          if (node !== 'n1') throw new Error('must be on n1');
          return { value: withNode(valueOf(current), 'n2') };
        },
        { cached: old },
      );
      expect([seen, nodeOf(updated)]).toEqual([['', 'n1'], 'n2']);

      // No change to the old copy, but to the newest: the newest counts.
      const back = await c.storage.guaranteedUpdate(
        c.key('a'),
        (current) => ({ value: withNode(valueOf(current), 'n1') }),
        { cached: newer },
      );
      expect([back.revision, nodeOf(back)]).toEqual([updated.revision + 1, 'n1']);

      // An error of a copy that was current is final.
      let calls = 0;
      const refused = c.storage.guaranteedUpdate(
        c.key('a'),
        () => {
          calls += 1;
          throw new Error('no');
        },
        { cached: back },
      );
      expect([(await refusal(refused)).message, calls]).toEqual(['no', 1]);

      // A copy of another object is not taken for this one.
      await c.create('b', { node: 'other' });
      const other = await c.storage.get(c.key('b'));
      const kept = await c.storage.guaranteedUpdate(c.key('a'), (current) => ({ value: valueOf(current) }), {
        cached: other,
      });
      expect([kept.revision, nodeOf(kept)]).toEqual([back.revision, 'n1']);
    },
  },
  {
    name: 'update: conditions with an old copy are checked against the newest',
    async run(c) {
      const old = await c.create('a');
      const newer = await c.update('a', 'n1');
      const updated = await c.storage.guaranteedUpdate(
        c.key('a'),
        (current) => ({ value: withNode(valueOf(current), 'n2') }),
        { cached: old, preconditions: { resourceVersion: String(newer.revision) } },
      );
      expect(nodeOf(updated)).toBe('n2');
      await expectCode(
        c.storage.guaranteedUpdate(c.key('a'), (current) => ({ value: withNode(valueOf(current), 'n3') }), {
          cached: old,
          preconditions: { resourceVersion: String(old.revision) },
        }),
        'INVALID_OBJECT',
      );
      await c.storage.delete(c.key('a'));
      await expectCode(
        c.storage.guaranteedUpdate(c.key('a'), (current) => ({ value: withNode(valueOf(current), 'n4') }), {
          cached: updated,
        }),
        'KEY_NOT_FOUND',
      );
    },
  },
  {
    name: 'count and revision (TestCount, TestGetCurrentResourceVersion)',
    async run(c) {
      expect(await c.storage.count()).toBe(0);
      const made = await c.fill(3);
      await c.create('q', { namespace: 'other' });
      expect([await c.storage.count(), await c.storage.count(`${c.prefix}/ns`)]).toEqual([4, 3]);
      expect(await c.storage.currentRevision()).toBe((made.at(-1)?.revision ?? 0) + 1);
      await c.under.backend.ready();
    },
  },
];
