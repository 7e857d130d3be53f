/** The storage contract as tests: every backend passes the same cases, each under keys of its own. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Context, type BackendUnderTest, type Case } from './storage-harness.ts';
import { LIST_CASES } from './storage-list-cases.ts';
import { TABLE_CASES } from './storage-table-cases.ts';
import { WATCH_CASES } from './storage-watch-cases.ts';
import { WRITE_CASES } from './storage-write-cases.ts';

export const STORAGE_CASES: readonly Case[] = [...WRITE_CASES, ...LIST_CASES, ...WATCH_CASES, ...TABLE_CASES];

/** @param otherwise names of cases that this storage answers otherwise, by right */
export function storageContract(
  name: string,
  open: () => Promise<BackendUnderTest>,
  otherwise: ReadonlySet<string> = new Set(),
): void {
  describe(`storage contract: ${name}`, () => {
    let under: BackendUnderTest;
    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under.close());

    test.each(
      STORAGE_CASES.filter(({ name: each }) => !otherwise.has(each)).map((each, serial) => ({
        ...each,
        serial,
      })),
    )('$name', async ({ run, serial, needsProgress = false }) => {
      if (needsProgress && !under.reportsProgress) {
        const { storage } = new Context(under, serial);
        expect(await storage.supportsProgress()).toBe(false);
        return;
      }
      await run(new Context(under, serial));
    });
  });
}
