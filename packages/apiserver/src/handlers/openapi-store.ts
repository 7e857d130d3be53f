/**
 * OpenAPI documents as bytes: made when somebody asks, compressed, and kept as long as what they tell of stays as it
 * is. A change of one group version costs its own parts; the rest is joined again from what is kept.
 *
 * Nothing is made before the first request, and the making pauses every few milliseconds, so that other requests are
 * answered meanwhile. Compressed documents alone are kept: clients take them as they are, and all of them together are
 * smaller than one of them is plain.
 */

import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

import { toError, type Clock } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import type { CustomDefinitions } from '../openapi/definitions.ts';
import {
  DocumentWriter,
  joinedPieces,
  NO_PART,
  unitsOf,
  type Format,
  type KeptDefinition,
  type Part,
  type Unit,
} from '../openapi/documents.ts';
import { PROSE } from '../openapi/prose/tables.ts';
import { ProseTable } from '../openapi/prose.ts';
import { renamed, specOf, type RemoteSpec } from '../openapi/remote-documents.ts';
import { versionSources } from '../openapi/sources.ts';
import type { Scheme } from '../registry/scheme.ts';

const compress = promisify(gzip);
const expand = promisify(gunzip);

/** Longest stretch without a pause: what a request notices is a few times this. */
const SLICE_MS = 4;
/** The default is slower by half for a tenth of the bytes; level 1 makes them a third larger. */
const GZIP_LEVEL = 5;
/** Parts are kept for the next document alone, and say the same again and again: the fastest makes a tenth of them. */
const PART_LEVEL = 1;

/** A document as it is kept. */
export interface StoredDocument {
  readonly gzip: Buffer;
  /** Upper-case hex of the SHA-512 of the plain bytes. */
  readonly hash: string;
}

/** What is made of a unit, and of which. */
interface Kept<T> {
  readonly signature: string;
  readonly value: Promise<T>;
}

export interface OpenApiStoreOptions {
  readonly scheme: Scheme;
  readonly clock: Clock;
  /** Whether the documents of the issuer of service account tokens are served; true unless said. */
  readonly issuer?: boolean;
  /** The schemas of custom resources. */
  readonly custom?: CustomDefinitions;
  /** What other servers say of what they serve as part of this one. */
  readonly remote?: RemoteDocuments;
  /** Is told why a document of another server was left out. */
  readonly refused?: (name: string, error: Error) => void;
}

export interface RemoteDocuments {
  /** Those of version 2, in the order of their names; the same signature: the same bytes. */
  documents(): readonly {
    readonly name: string;
    readonly path: string;
    readonly signature: string;
    readonly bytes: Buffer;
  }[];
  /** Where those of version 3 are, by `apis/G/V`. */
  addresses(): ReadonlyMap<string, string>;
}

export class OpenApiStore {
  private readonly options: OpenApiStoreOptions;
  private readonly writers: Record<'v2' | 'v3', DocumentWriter>;
  private generation = -1;
  private units: ReadonlyMap<string, Unit> = new Map();
  private readonly kept = new Map<string, Kept<unknown>>();
  private readonly definitions = new Map<string, Map<string, KeptDefinition>>();

  constructor(options: OpenApiStoreOptions) {
    const { scheme, custom } = options;
    this.options = options;
    const prose = new ProseTable(PROSE);
    this.writers = {
      v2: new DocumentWriter(scheme.types, prose, 'v2', custom),
      v3: new DocumentWriter(scheme.types, prose, 'v3', custom),
    };
  }

  /** The document of version 2. */
  v2(format: Format): Promise<StoredDocument> {
    this.refresh();
    const units = [...this.units.values()];
    const signature = createHash('sha256');
    for (const unit of units) signature.update(unit.signature);
    const remote = this.options.remote?.documents() ?? [];
    for (const document of remote) signature.update(`\n${document.signature}`);
    return this.once(`v2 ${format}`, signature.digest('hex'), async () => {
      const parts: Part[] = [];
      for (const unit of units) {
        const part = await this.once(`v2 ${format} ${unit.key}`, unit.signature, async () => {
          const made = await this.drive(this.writers.v2.paths(unit, format));
          return { ...made, bytes: await compress(made.bytes, { level: PART_LEVEL }) };
        });
        parts.push({ ...part, bytes: await expand(part.bytes) });
      }
      const contents = new Set(parts.flatMap((part) => [...part.contents]));
      const schemasIn = (form: Format): Promise<Buffer> =>
        this.drive(this.writers.v2.schemas(contents, form, this.definitionsOf(`v2 ${form}`)));
      const schemas = await schemasIn(format);
      if (remote.length === 0) return await store(this.writers.v2.wholeV2(format, parts, schemas));
      const taken = format === 'json' ? schemas : await schemasIn('json');
      const foreign = this.foreign(remote, taken, format);
      return await store(
        this.writers.v2.wholeV2(
          format,
          foreign.paths.length === 0 ? parts : [...parts, { ...NO_PART, bytes: foreign.paths }],
          joinedPieces([schemas, foreign.definitions], format),
        ),
      );
    });
  }

  /** What documents of other servers add: their paths, and their definitions beside ours. */
  private foreign(
    documents: ReturnType<RemoteDocuments['documents']>,
    taken: Buffer,
    format: Format,
  ): { readonly paths: Buffer; readonly definitions: Buffer } {
    const specs: RemoteSpec[] = [];
    for (const { name, path, bytes } of documents) {
      // What this server answers itself, it describes itself.
      if (this.units.has(path.slice(1))) continue;
      try {
        const spec = specOf(JSON.parse(bytes.toString('utf8')), path);
        // Refused now, if there are no words for it: the others must not suffer.
        this.writers.v2.foreignPaths(spec.paths, format);
        this.writers.v2.foreignDefinitions(spec.definitions, format);
        specs.push(spec);
      } catch (error) {
        this.options.refused?.(name, toError(error));
      }
    }
    const ours: unknown = JSON.parse(`{${taken.toString('utf8')}}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written here a moment ago
    const { paths, definitions } = renamed(new Map(Object.entries(ours as JsonObject)), specs);
    return {
      paths: this.writers.v2.foreignPaths(paths, format),
      definitions: this.writers.v2.foreignDefinitions(definitions, format),
    };
  }

  /**
   * The document of one unit in version 3.
   *
   * @param key `apis/apps/v1`
   * @returns undefined for a unit that is not served
   */
  v3(key: string, format: Format): Promise<StoredDocument> | undefined {
    this.refresh();
    const unit = this.units.get(key);
    return unit && this.unit(unit, format);
  }

  /** The index of version 3: each unit with where its document is, its hash in the address. */
  async index(): Promise<StoredDocument> {
    this.refresh();
    const paths: Record<string, { serverRelativeURL: string }> = {};
    for (const unit of this.units.values()) {
      const { hash } = await this.unit(unit, 'json');
      paths[unit.key] = { serverRelativeURL: addressOf(unit.key, hash) };
    }
    for (const [key, serverRelativeURL] of this.options.remote?.addresses() ?? []) {
      paths[key] = { serverRelativeURL };
    }
    return await store(Buffer.from(JSON.stringify({ paths })));
  }

  private unit(unit: Unit, format: Format): Promise<StoredDocument> {
    return this.once(`v3 ${format} ${unit.key}`, unit.signature, async () => {
      const part = await this.drive(this.writers.v3.paths(unit, format));
      const schemas = await this.drive(
        this.writers.v3.schemas(part.contents, format, this.definitionsOf(`v3 ${format}`)),
      );
      return await store(this.writers.v3.wholeV3(format, part, schemas));
    });
  }

  /** Definitions that many documents repeat, written once. */
  private definitionsOf(name: string): Map<string, KeptDefinition> {
    let definitions = this.definitions.get(name);
    if (definitions === undefined) this.definitions.set(name, (definitions = new Map()));
    return definitions;
  }

  private refresh(): void {
    const { scheme, custom, issuer } = this.options;
    const generation = scheme.generation();
    if (generation === this.generation) return;
    this.generation = generation;
    const units = unitsOf(versionSources(scheme.served(), custom), issuer ?? true);
    this.units = new Map(units.map((unit) => [unit.key, unit]));
    for (const name of this.kept.keys()) {
      const key = name.split(' ')[2];
      if (key !== undefined && !this.units.has(key)) this.kept.delete(name);
    }
  }

  /** Makes a thing once for all who ask while its signature stays; what failed is made again. */
  private once<T>(name: string, signature: string, make: () => Promise<T>): Promise<T> {
    const found = this.kept.get(name);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a name always stands for the same type
    if (found?.signature === signature) return found.value as Promise<T>;
    const value = make();
    const kept = { signature, value };
    this.kept.set(name, kept);
    value.catch(() => {
      if (this.kept.get(name) === kept) this.kept.delete(name);
    });
    return value;
  }

  /** Runs to the end, with a pause after each slice. */
  private async drive<T>(work: Generator<undefined, T>): Promise<T> {
    const { clock } = this.options;
    let since = clock.monotonicMs();
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (clock.monotonicMs() - since < SLICE_MS) continue;
      await turn();
      since = clock.monotonicMs();
    }
  }
}

async function store(bytes: Buffer): Promise<StoredDocument> {
  const hash = createHash('sha512').update(bytes).digest('hex').toUpperCase();
  return { gzip: await compress(bytes, { level: GZIP_LEVEL }), hash };
}

/** Where a unit's document is, for whoever knows its hash. */
export function addressOf(key: string, hash: string): string {
  return `/openapi/v3/${key}?hash=${hash}`;
}

/** The plain bytes of a document. */
export function plainBytes({ gzip: bytes }: StoredDocument): Promise<Buffer> {
  return expand(bytes);
}
