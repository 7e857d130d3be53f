/**
 * The storage contract, part two: lists. Cases follow kubernetes/apiserver pkg/storage/testing (store_tests.go);
 * the matrix of versions is the reference's, section 1.6.
 */

import { expect } from '@jest/globals';

import type { ResourceVersionMatch } from '../../src/storage/storage.ts';
import {
  Context,
  expectCode,
  expectStatus,
  names,
  pod,
  refusal,
  select,
  type Case,
} from './storage-harness.ts';

/** Three pods, one each at the revisions base + 1 … base + 3; then the second is changed (+4) and the first deleted (+5). */
async function history(c: Context): Promise<number> {
  const base = await c.storage.currentRevision();
  await c.fill(3);
  await c.update('p1', 'n1');
  await c.storage.delete(c.key('p0'));
  return base;
}

interface Row {
  readonly name: string;
  /** Relative to the base; '' and '0' as they are. */
  readonly version: number | '' | '0';
  readonly match?: ResourceVersionMatch;
  readonly limit?: number;
  /** Names, the revision relative to the base, and how many remain. */
  readonly want: readonly [names: string, revision: number, remaining?: number] | number;
}

const MATRIX: readonly Row[] = [
  { name: 'unset', version: '', want: ['p1 p2', 5] },
  { name: 'unset, limit', version: '', limit: 1, want: ['p1', 5, 1] },
  { name: '0', version: '0', want: ['p1 p2', 5] },
  { name: '0, limit', version: '0', limit: 1, want: ['p1', 5, 1] },
  { name: '0, not older', version: '0', match: 'NotOlderThan', want: ['p1 p2', 5] },
  { name: 'N', version: 3, want: ['p1 p2', 5] },
  { name: 'N, limit: exactly N as it always was', version: 3, limit: 2, want: ['p0 p1', 3, 1] },
  { name: 'N, not older', version: 3, match: 'NotOlderThan', want: ['p1 p2', 5] },
  { name: 'N, not older, limit', version: 3, match: 'NotOlderThan', limit: 1, want: ['p1', 5, 1] },
  { name: 'N, exact', version: 3, match: 'Exact', want: ['p0 p1 p2', 3] },
  { name: 'N, exact, limit', version: 2, match: 'Exact', limit: 1, want: ['p0', 2, 1] },
  { name: 'N, exact, before all', version: 0, match: 'Exact', want: ['', 0] },
  { name: 'now, exact', version: 5, match: 'Exact', want: ['p1 p2', 5] },
  { name: 'future', version: 1000, want: 504 },
  { name: 'future, not older', version: 1000, match: 'NotOlderThan', want: 504 },
  { name: 'future, exact', version: 1000, match: 'Exact', want: 504 },
  { name: 'future, limit', version: 1000, limit: 1, want: 504 },
];

const rows: readonly Case[] = MATRIX.map(({ name, version, match = '', limit = 0, want }) => ({
  name: `list: ${name} (TestList)`,
  async run(c) {
    const base = await history(c);
    const resourceVersion = typeof version === 'number' ? String(base + version) : version;
    const list = c.storage.list(c.prefix, { resourceVersion, resourceVersionMatch: match, limit });
    if (typeof want === 'number') {
      const error = await expectStatus(list, want);
      expect(error.message).toBe(`Timeout: Too large resource version: ${base + 1000}, current: ${base + 5}`);
      return;
    }
    const { objects, revision, continue: token, remainingItemCount } = await list;
    const [wanted, at, remaining] = want;
    expect([names(objects), revision - base, remainingItemCount]).toEqual([wanted, at, remaining]);
    expect(token === '').toBe(remaining === undefined);
  },
}));

export const LIST_CASES: readonly Case[] = [
  ...rows,
  {
    name: 'list: of a namespace, which is no prefix of another (TestListWithoutPaging, TestNamespaceScopedList)',
    async run(c) {
      for (const namespace of ['a', 'ab', 'b']) await c.create(`in-${namespace}`, { namespace });
      const list = async (key: string): Promise<string> => names((await c.storage.list(key)).objects);
      expect(await list(`${c.prefix}/a`)).toBe('in-a');
      expect(await list(`${c.prefix}/a/`)).toBe('in-a');
      expect(await list(c.prefix)).toBe('in-a in-ab in-b');
      expect(await list(`${c.prefix}/c`)).toBe('');
    },
  },
  {
    name: 'list: of one object (TestGetListNonRecursive)',
    async run(c) {
      const [made] = await c.fill(2);
      const list = async (name: string, fields: string): Promise<string> => {
        const options = { recursive: false, selection: select({ fields }) };
        return names((await c.storage.list(c.key(name), options)).objects);
      };
      expect(await list('p0', 'metadata.name=p0')).toBe('p0');
      expect(await list('p0', 'spec.nodeName=elsewhere')).toBe('');
      expect(await list('p', '')).toBe('');
      const late = c.storage.list(c.key('p0'), {
        recursive: false,
        resourceVersion: String((made?.revision ?? 0) + 1000),
      });
      await expectStatus(late, 504);
      const exact = await c.storage.list(c.key('p0'), {
        recursive: false,
        resourceVersion: String((made?.revision ?? 0) - 1),
        resourceVersionMatch: 'Exact',
      });
      expect(names(exact.objects)).toBe('');
    },
  },
  {
    name: 'list: pages of one snapshot, while others write (TestListContinuation)',
    async run(c) {
      const made = await c.fill(7);
      const snapshot = made.at(-1)?.revision;
      const seen: string[] = [];
      let token = '';
      let pages = 0;
      do {
        const page = await c.storage.list(c.prefix, { limit: 3, continue: token });
        expect(page.revision).toBe(snapshot);
        seen.push(names(page.objects));
        expect(page.remainingItemCount).toBe([4, 1, undefined][pages]);
        token = page.continue;
        pages += 1;
        if (pages === 1) {
          await c.storage.delete(c.key('p4'));
          await c.create('p55');
        }
      } while (token !== '');
      expect(seen).toEqual(['p0 p1 p2', 'p3 p4 p5', 'p6']);
    },
  },
  {
    name: 'list: as many as the limit need no next page',
    async run(c) {
      await c.fill(3);
      for (const limit of [3, 4]) {
        const page = await c.storage.list(c.prefix, { limit });
        expect([page.objects.length, page.continue, page.remainingItemCount]).toEqual([3, '', undefined]);
      }
    },
  },
  {
    name: 'list: pages of a selection are full, and do not say what remains (TestListContinuationWithFilter)',
    async run(c) {
      await c.fill(7, (index) => ({ labels: { odd: String(index % 2 === 1) } }));
      const selection = select({ labels: 'odd=false' });
      const first = await c.storage.list(c.prefix, { limit: 2, selection });
      expect([names(first.objects), first.remainingItemCount]).toEqual(['p0 p2', undefined]);
      const second = await c.storage.list(c.prefix, { limit: 2, selection, continue: first.continue });
      expect(names(second.objects)).toBe('p4 p6');
      const all = await c.storage.list(c.prefix, { selection });
      expect([names(all.objects), all.continue]).toEqual(['p0 p2 p4 p6', '']);
    },
  },
  {
    name: 'list: one of many (TestListPaginationRareObject)',
    async run(c) {
      await c.fill(40);
      const rare = { limit: 1, selection: select({ fields: 'metadata.name=p9' }) };
      const page = await c.storage.list(c.prefix, rare);
      // p9 is the last in order of keys, so nothing can follow.
      expect([names(page.objects), page.continue]).toEqual(['p9', '']);
      const early = await c.storage.list(c.prefix, {
        limit: 1,
        selection: select({ fields: 'metadata.name=p1' }),
      });
      const rest = await c.storage.list(c.prefix, {
        limit: 1,
        selection: select({ fields: 'metadata.name=p1' }),
        continue: early.continue,
      });
      expect([names(early.objects), names(rest.objects), rest.continue]).toEqual(['p1', '', '']);
    },
  },
  {
    name: 'list: selections of labels and fields',
    async run(c) {
      await c.create('a', { node: 'n1', labels: { app: 'web', tier: 'front' } });
      await c.create('b', { node: 'n2', labels: { app: 'web' } });
      await c.create('d', { node: 'n2' });
      const list = async (labels: string, fields: string): Promise<string> =>
        names((await c.storage.list(c.prefix, { selection: select({ labels, fields }) })).objects);
      expect(await list('app=web', '')).toBe('a b');
      expect(await list('app', 'spec.nodeName=n2')).toBe('b');
      expect(await list('app!=web', '')).toBe('d');
      expect(await list('!tier', 'spec.nodeName!=n1')).toBe('b d');
      expect(await list('', 'metadata.namespace=other')).toBe('');
    },
  },
  {
    name: 'list: a token whose revision is compacted away goes on at another (TestListInconsistentContinuation)',
    async run(c) {
      await c.fill(5);
      const first = await c.storage.list(c.prefix, { limit: 2 });
      await c.create('p25');
      const now = await c.update('p4', 'n1');
      await c.under.compact(now.revision);

      const expired = await expectStatus(
        c.storage.list(c.prefix, { limit: 2, continue: first.continue }),
        410,
      );
      expect(expired.reason).toBe('Expired');
      expect(expired.message).toMatch(
        /^The provided continue parameter is too old to display a consistent list result\. .* may show up in the list\.$/,
      );
      const token = expired.status.continue ?? '';
      const second = await c.storage.list(c.prefix, { limit: 2, continue: token });
      // What was created meanwhile shows up, at a revision that can be read, and from here on consistently.
      expect([names(second.objects), second.revision >= now.revision]).toEqual(['p2 p25', true]);
      await c.create('p35');
      const third = await c.storage.list(c.prefix, { limit: 9, continue: second.continue });
      expect([names(third.objects), third.revision]).toEqual(['p3 p4', second.revision]);

      const exact = await expectStatus(
        c.storage.list(c.prefix, {
          resourceVersion: String(first.revision),
          resourceVersionMatch: 'Exact',
        }),
        410,
      );
      expect([exact.message, exact.status.continue]).toEqual([
        'The resourceVersion for the provided list is too old.',
        undefined,
      ]);
    },
  },
  {
    name: 'list: tokens that are none, or of another list',
    async run(c) {
      await c.fill(2);
      const encode = (value: unknown): string =>
        Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
      const v = 'meta.k8s.io/v1';
      const cases: readonly (readonly [string, string])[] = [
        ['!', 'invalid continue token: continue key is not valid: illegal base64 data'],
        [encode('{'), 'invalid continue token: continue key is not valid: unexpected end of JSON input'],
        [
          encode({ v: 'x', rv: 1, start: 'a' }),
          'invalid continue token: continue key is not valid: server does not recognize this encoded version x',
        ],
        [
          encode({ v, start: 'a' }),
          'invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)',
        ],
        [
          encode({ v, rv: 1 }),
          'invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)',
        ],
        [
          encode({ v, rv: 1, start: '../secrets' }),
          'invalid continue token: continue key is not valid: ../secrets',
        ],
        [
          encode({ v, rv: 1, start: 'a/../../b' }),
          'invalid continue token: continue key is not valid: a/../../b',
        ],
        [encode({ v, rv: 1, start: '//a' }), 'invalid continue token: continue key is not valid: //a'],
      ];
      for (const [token, message] of cases) {
        const error = await expectStatus(c.storage.list(c.prefix, { continue: token, limit: 1 }), 400);
        expect(error.message).toBe(message);
      }
      const { continue: token } = await c.storage.list(c.prefix, { limit: 1 });
      const both = await expectStatus(
        c.storage.list(c.prefix, { continue: token, resourceVersion: '5' }),
        400,
      );
      expect(both.message).toBe('specifying resource version is not allowed when using continue');
      expect(names((await c.storage.list(c.prefix, { continue: token, resourceVersion: '0' })).objects)).toBe(
        'p1',
      );
      const wrong = await expectStatus(c.storage.list(c.prefix, { resourceVersion: '-1' }), 400);
      expect(wrong.message).toBe(
        'invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax',
      );
    },
  },
  {
    name: 'list: names beyond ASCII are in order of their bytes and page',
    async run(c) {
      const sorted = ['a', 'z', 'ä', 'ж', '漢', '😀'];
      for (const name of sorted.toReversed()) await c.create(name);
      const seen: string[] = [];
      let token = '';
      do {
        const page = await c.storage.list(c.prefix, { limit: 1, continue: token });
        seen.push(names(page.objects));
        token = page.continue;
      } while (token !== '');
      expect(seen).toEqual(sorted);
    },
  },
  {
    name: 'list: given up',
    async run(c) {
      await c.fill(1);
      const signal = AbortSignal.abort();
      await refusal(c.storage.list(c.prefix, { signal }));
      await refusal(c.storage.create(c.key('x'), pod('x'), { signal }));
      await expectCode(c.storage.get(c.key('x')), 'KEY_NOT_FOUND');
    },
  },
];
