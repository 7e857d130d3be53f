/**
 * A stored object as both storages hand it out: bytes that become a value when somebody looks, and JSON when somebody
 * sends it, each once. It never changes.
 */

import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { LONG_BYTES, type Pace, type Sliced } from '../api/sliced.ts';
import { writeJson, writeJsonInSlices } from '../codec/json-writer.ts';
import type { ObjectCodec, StoredObject } from './storage.ts';
import { StorageError } from './storage-error.ts';

export class EncodedObject implements StoredObject {
  readonly key: string;
  readonly revision: number;
  /** What the codec made of the object, decrypted. */
  readonly bytes: Buffer;
  private readonly codec: ObjectCodec;
  private decoded: KubeObject | undefined = undefined;
  private text: Buffer | undefined = undefined;
  /** What the bytes were made of, where nobody has looked yet what they are read as. */
  private encoded: KubeObject | undefined = undefined;

  /** @param encoded what the bytes were made of, by whoever just did */
  constructor(key: string, revision: number, bytes: Buffer, codec: ObjectCodec, encoded?: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.bytes = bytes;
    this.codec = codec;
    if (bytes.length > LONG_BYTES) this.encoded = encoded;
    else if (encoded !== undefined) this.decoded = codec.reread?.(encoded, String(revision));
  }

  get value(): KubeObject {
    if (this.decoded === undefined) {
      try {
        const version = String(this.revision);
        if (this.encoded !== undefined) this.decoded = this.codec.reread?.(this.encoded, version);
        this.encoded = undefined;
        this.decoded ??= this.codec.decode(this.bytes, version);
      } catch (error) {
        throw corrupt(this.key, this.revision, error);
      }
    }
    return this.decoded;
  }

  get size(): number {
    return this.bytes.length;
  }

  /** Others may ask for the same meanwhile: whoever is ready first has made it. */
  *prepareInSlices(pace: Pace): Sliced<void> {
    const { slices } = this.codec;
    if (slices === undefined) return;
    if (this.decoded === undefined) {
      try {
        const version = String(this.revision);
        const { encoded } = this;
        let value = encoded && (yield* slices.reread(encoded, version, pace));
        value ??= yield* slices.decode(this.bytes, version, pace);
        this.decoded ??= value;
        this.encoded = undefined;
      } catch (error) {
        throw corrupt(this.key, this.revision, error);
      }
    }
    if (this.text === undefined) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as json()
      const text = yield* writeJsonInSlices(this.decoded as unknown as Json, '', pace);
      this.text ??= text;
    }
  }

  json(): Buffer {
    // An object is JSON by its law (api/meta.ts); its type says less so that metadata can be typed.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    this.text ??= Buffer.from(writeJson(this.value as unknown as Json), 'utf8');
    return this.text;
  }

  /** The same state under another revision: what was deleted shows the deletion's. */
  at(revision: number): EncodedObject {
    return new EncodedObject(this.key, revision, this.bytes, this.codec);
  }
}

export function corrupt(key: string, revision: number, cause: unknown): StorageError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new StorageError('CORRUPT_OBJECT', key, revision, detail, cause);
}
