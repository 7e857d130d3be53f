/**
 * A stored object as both storages hand it out: bytes that become a value when somebody looks, and JSON when somebody
 * sends it, each once. It never changes.
 */

import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { writeJson } from '../codec/json-writer.ts';
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

  /** @param encoded what the bytes were made of, by whoever just did */
  constructor(key: string, revision: number, bytes: Buffer, codec: ObjectCodec, encoded?: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.bytes = bytes;
    this.codec = codec;
    if (encoded !== undefined) this.decoded = codec.reread?.(encoded, String(revision));
  }

  get value(): KubeObject {
    if (this.decoded === undefined) {
      try {
        this.decoded = this.codec.decode(this.bytes, String(this.revision));
      } catch (error) {
        throw corrupt(this.key, this.revision, error);
      }
    }
    return this.decoded;
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
