/**
 * What the storage contract stands for: each table of kubernetes/apiserver pkg/storage/testing has a case that carries its
 * name, or a reason in testdata/storage/upstream.json why it has none.
 */

import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';

import { STORAGE_CASES } from './contract/storage-contract.ts';

/** Tables of the original (v0.36); the reason where no case stands for one. */
const upstream = JSON.parse(
  readFileSync(new URL('testdata/storage/upstream.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>;

const named = new Set(STORAGE_CASES.flatMap(({ name }) => name.match(/Test[A-Za-z]+/g) ?? []));

test('every table of the original has a case, or a reason', () => {
  const without = Object.keys(upstream).filter((table) => !named.has(table));
  const reasoned = Object.entries(upstream).flatMap(([table, reason]) => (reason === '' ? [] : [table]));
  expect(without).toEqual(reasoned);
});

test('cases have names of their own, and are many', () => {
  expect(new Set(STORAGE_CASES.map(({ name }) => name)).size).toBe(STORAGE_CASES.length);
  expect(STORAGE_CASES.length).toBeGreaterThan(150);
});
