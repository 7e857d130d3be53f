/**
 * The cases of the patches, `testdata/{json-patch,merge-patch,strategic-merge}`: an object, a patch, and what comes of
 * them. Each names the upstream table or the text it covers and the rules it shows; what is expected was computed by the
 * original (apimachinery 0.36, evanphx/json-patch v4.13) from the same files. Cases whose outcome hangs there on the
 * order of a Go map are not among them.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { type Json, type JsonObject } from '../src/api/json.ts';
import { ApiError } from '../src/api/status.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import type { StructSchema } from '../src/schema/type-schema.ts';

export interface PatchCase {
  readonly name: string;
  readonly source: string;
  readonly rules: readonly string[];
  /** A built-in type by its name in the fact table, or `test.Item`; strategic merges only. */
  readonly type?: string;
  readonly object: JsonObject;
  readonly patch: Json;
  readonly result?: Json;
  /** The original's text. */
  readonly error?: string;
}

/** Types that show all a patch can meet, in the fact table's own form. */
const ITEM = [
  'test.Item',
  'name:s:1?',
  'value:s:2?',
  'other:s:3?',
  'mergingList:[test.Item:4?~merge~by=name',
  'nonMergingList:[test.Item:5?',
  'mergingIntList:[i:6?~merge',
  'nonMergingIntList:[i:7?',
  'mergingTexts:[s:8?~merge',
  'keylessList:[test.Item:9?~merge',
  'retainKeysMap:test.Union:10*?~retain',
  'retainKeysList:[test.Union:11?~merge~retain~by=name',
  'sub:test.Item:12*?',
  'texts:{s:13?',
  'subs:{test.Item:14?',
  'lists:{[s:15?',
  'count:i:16?',
  'on:b:17?',
  'ratio:d:18?',
];
const UNION = ['test.Union', 'name:s:1?', 'value:i:2?', 'value2:i:3?', 'text:s:4?', 'other:test.Item:5*?'];

const testTypes = new TypeTable(`${ITEM.join('\t')}\n${UNION.join('\t')}\n`);
const builtInTypes = new TypeTable();

export function typeOf(name: string): StructSchema {
  return (name.startsWith('test.') ? testTypes : builtInTypes).struct(name);
}

/** @param folder of testdata */
export function readPatchCases(folder: string): PatchCase[] {
  const from = path.join(import.meta.dirname, 'testdata', folder);
  return readdirSync(from)
    .toSorted()
    .flatMap((file) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the files are ours
      const cases = readJson(readFileSync(path.join(from, file), 'utf8')) as unknown as PatchCase[];
      const group = path.basename(file, '.json');
      return cases.map((one) => ({ ...one, name: group === 'cases' ? one.name : `${group}: ${one.name}` }));
    });
}

/** What a patch comes to, as the files say it. */
export function outcomeOf(patch: () => Json): { readonly result?: Json; readonly error?: string } {
  try {
    return { result: patch() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    const reason = error instanceof ApiError && error.cause instanceof Error ? error.cause : error;
    return { error: reason.message };
  }
}

/** Freezes a value and all in it, so that whoever writes into it fails. */
export function frozen<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) frozen(member);
    Object.freeze(value);
  }
  return value;
}
