/**
 * The schemas of custom resources at rest and in use: each kept as the compressed bytes of its JSON, compiled when an
 * object needs it, and forgotten again when others were needed since. What a definition costs that nobody uses is an
 * eighth of its text.
 */

import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { ownBytes } from '@keelson/base';

import { isJsonObject, type JsonObject } from '../api/json.ts';
import { readJson } from '../codec/json-reader.ts';
import { writeJson } from '../codec/json-writer.ts';
import { Structural } from '../schema/structural.ts';

/** Bytes of schemas that are kept compiled; a compiled schema takes about ten times its text. */
const COMPILED_BYTES_MAX = 4 * 1024 * 1024;
/** 20 kB take 0.2 ms; level 6 takes twice as long for a tenth of the bytes. */
const DEFLATE_LEVEL = 2;

/** The schema of one version. */
export class CustomSchema {
  /** Of its JSON, bytes. */
  readonly size: number;
  /** Another text for another schema. */
  readonly fingerprint: string;
  private readonly deflated: Buffer;
  private readonly compiled: CompiledSchemas;

  /** @param source JSONSchemaProps */
  constructor(source: JsonObject, compiled: CompiledSchemas) {
    const bytes = Buffer.from(writeJson(source), 'utf8');
    this.size = bytes.length;
    this.fingerprint = createHash('sha256').update(bytes).digest('base64');
    this.deflated = ownBytes(deflateRawSync(bytes, { level: DEFLATE_LEVEL }));
    this.compiled = compiled;
  }

  /** JSONSchemaProps, read anew. */
  source(): JsonObject {
    const value = readJson(this.text());
    return isJsonObject(value) ? value : {};
  }

  /** JSONSchemaProps for people and documents: numbers are what JSON has. */
  plain(): JsonObject {
    const value: unknown = JSON.parse(this.text());
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the text is an object's
    return value as JsonObject;
  }

  /** The same one as long as it is in use. */
  structural(): Structural {
    return this.compiled.of(this);
  }

  private text(): string {
    return inflateRawSync(this.deflated).toString('utf8');
  }
}

/** Those that are in use. */
export class CompiledSchemas {
  private readonly kept = new Map<CustomSchema, Structural>();
  private size = 0;

  of(schema: CustomSchema): Structural {
    let found = this.kept.get(schema);
    if (found === undefined) {
      found = new Structural(schema.source());
      this.size += schema.size;
    } else {
      // Used again: the last one to go.
      this.kept.delete(schema);
    }
    this.kept.set(schema, found);
    for (const [oldest] of this.kept) {
      if (this.size <= COMPILED_BYTES_MAX || oldest === schema) break;
      this.kept.delete(oldest);
      this.size -= oldest.size;
    }
    return found;
  }

  /** Of a schema that is served no more. */
  forget(schema: CustomSchema): void {
    if (this.kept.delete(schema)) this.size -= schema.size;
  }
}
