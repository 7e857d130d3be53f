/**
 * What a client is told, request by request, beside what kube-apiserver 1.36 told it: bodies that cannot be read, options
 * that do not go together, selectors, versions, patches, deletions and forms of answers. The data were recorded from that
 * server; the requests are sent in their order, since later ones meet what earlier ones left.
 */
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { smallServer, type SmallServer } from './small-server.ts';

interface Recorded {
  readonly name: string;
  /** Method, path and query; `{name}` stands for what an earlier answer was asked to leave. */
  readonly ask: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  /** Instead of `body`, bytes that are no text. */
  readonly base64?: string;
  /** Names and where in the answer their values are. */
  readonly save?: Readonly<Record<string, string>>;
  readonly code: number;
  readonly message?: string;
  readonly reason?: string;
  readonly causes?: readonly Json[];
  readonly warnings?: readonly string[];
}

const FILE = new URL('testdata/answers.json', import.meta.url);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
const GROUPS = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, readonly Recorded[]>>;

interface Told {
  readonly code: number;
  readonly json: JsonObject;
  readonly warnings: readonly string[];
}

function bytesOf(body: Json | undefined, filled: (text: string) => string): Buffer | undefined {
  if (body === undefined) return undefined;
  return Buffer.from(filled(typeof body === 'string' ? body : JSON.stringify(body)));
}

/** The value at a path of names and indexes. */
function at(value: JsonObject, path: string): string {
  let found: Json | undefined = value;
  for (const name of path.split('/')) found = isJsonObject(found) ? found[name] : undefined;
  return typeof found === 'string' ? found : '';
}

describe.each(Object.entries(GROUPS))('%s', (_title, rows) => {
  let small: SmallServer;
  const saved = new Map<string, string>();
  const filled = (text: string): string =>
    text.replaceAll(/\{([a-z]+\d*)\}/g, (whole, name: string) => saved.get(name) ?? whole);

  async function ask({ ask: line, headers, body, base64 }: Recorded): Promise<Told> {
    const [method, target] = filled(line).split(' ', 2);
    const bytes = base64 === undefined ? bytesOf(body, filled) : Buffer.from(base64, 'base64');
    const answer = await small.server.call(target, {
      method,
      headers: {
        accept: 'application/json',
        'user-agent': 'probe/1',
        ...(bytes === undefined ? {} : { 'content-length': String(bytes.length) }),
        ...headers,
      },
      ...(bytes === undefined ? {} : { body: bytes }),
    });
    const text = (await answer.bytes()).toString('utf8');
    const json = text.startsWith('{') ? readJson(text) : {};
    return {
      code: answer.code,
      json: isJsonObject(json) ? json : {},
      warnings: answer.headers.get('warning') ?? [],
    };
  }

  beforeAll(async () => {
    small = smallServer({ resources: 'built-in' });
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
    await small.ask('POST', '/api/v1/namespaces', namespace);
  });
  afterAll(() => small.stop());

  test.each(rows.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const answer = await ask(row);
    for (const [name, path] of Object.entries(row.save ?? {})) saved.set(name, at(answer.json, path));
    const { message, reason, details = null } = answer.json;
    const causes = isJsonObject(details) ? details['causes'] : undefined;
    expect({
      code: answer.code,
      ...(row.message === undefined ? {} : { message }),
      ...(row.reason === undefined ? {} : { reason }),
      ...(row.causes === undefined ? {} : { causes }),
      ...(row.warnings === undefined ? {} : { warnings: answer.warnings }),
    }).toEqual({
      code: row.code,
      ...(row.message === undefined ? {} : { message: row.message }),
      ...(row.reason === undefined ? {} : { reason: row.reason }),
      ...(row.causes === undefined ? {} : { causes: row.causes }),
      ...(row.warnings === undefined ? {} : { warnings: row.warnings }),
    });
  });
});
