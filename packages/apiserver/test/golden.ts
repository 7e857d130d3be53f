/**
 * The golden objects beside the repository: each kind's object in JSON and in protobuf, as Kubernetes wrote it.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { isJsonObject, type JsonObject } from '../src/api/json.ts';
import { readEnvelope } from '../src/codec/envelope.ts';
import { readJson } from '../src/codec/json-reader.ts';
import type { TypeTable } from '../src/schema/type-table.ts';

const folder = path.join(import.meta.dirname, '../../../../shared/kubernetes/golden');

export const HAS_GOLDEN = existsSync(folder);

/** Names of the pairs, `apps.v1.Deployment`; empty where the folder is absent. */
export function goldenNames(): string[] {
  if (!HAS_GOLDEN) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length));
}

export interface Golden {
  readonly apiVersion: string;
  readonly kind: string;
  /** Name of its type in the fact table. */
  readonly type: string;
  readonly json: JsonObject;
  readonly bytes: Buffer;
}

export function readGolden(name: string, table: TypeTable): Golden {
  const bytes = readFileSync(path.join(folder, `${name}.pb`));
  const json = readJson(readFileSync(path.join(folder, `${name}.json`), 'utf8'));
  if (!isJsonObject(json)) throw new Error(`${name}.json holds no object`);
  const { apiVersion, kind } = readEnvelope(bytes);
  // The fact table calls a package by its group's first word.
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const word = group.replace(/\..*$/, '');
  const own = `${word === 'internal' ? 'apiserverinternal' : word}.${version}.${kind}`;
  // Options and the words of discovery belong to every version of every group; a watch event names no type.
  const type = table.has(own) ? own : `meta.v1.${kind === '' ? 'WatchEvent' : kind}`;
  return { apiVersion, kind, type, json, bytes };
}
