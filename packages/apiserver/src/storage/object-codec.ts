/**
 * Objects as they lie in the store: built-in kinds in the protobuf envelope, everything else as JSON; each reader takes
 * both, for a store may have been written by another server. What the store knows by itself (the revision) and what is
 * long gone (selfLink) is not written.
 *
 * The value is the JSON shape, in the storage version: a built-in object that was written in another version of its
 * group is converted when it is read. A custom resource is left in the version it was written in: converting it may mean
 * a call, which is the registry's.
 */

import { assert } from '@keelson/base';

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import { isEnvelope, readEnvelope, writeEnvelope } from '../codec/envelope.ts';
import { readJson, readJsonInSlices } from '../codec/json-reader.ts';
import { writeJson, writeJsonInSlices } from '../codec/json-writer.ts';
import { setMember } from '../codec/presence.ts';
import type { ProtobufCodec } from '../codec/protobuf.ts';
import { RoundTrip } from '../codec/round-trip.ts';
import { conform, conformInSlices } from '../codec/typed.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { ObjectCodec } from './storage.ts';

/** A type that stored bytes may be of. */
export interface StoredType {
  /** `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly struct: StructSchema;
}

/** One that is read, not written. */
export interface ReadableType extends StoredType {
  /** To the storage version. */
  convert(value: KubeObject): KubeObject;
}

/** One that is written in place of the storage version. */
export interface WrittenType extends StoredType {
  /** Of an object in the storage version. */
  make(value: KubeObject): KubeObject;
}

export interface BuiltInCodecOptions {
  readonly protobuf: ProtobufCodec;
  /** apiextensions.v1.JSONSchemaProps. */
  readonly schemaProps: StructSchema;
  /** The storage version. */
  readonly stored: StoredType;
  readonly readable?: readonly ReadableType[];
  /** Another version that is written in its place; it is among the readable ones too. */
  readonly written?: WrittenType;
  /** --storage-media-type. Default: protobuf. */
  readonly mediaType?: 'protobuf' | 'json';
}

/** The codec of a built-in kind. */
export function builtInCodec(options: BuiltInCodecOptions): ObjectCodec {
  const { protobuf, schemaProps, stored, written, mediaType = 'protobuf' } = options;
  const readable = new Map<string, ReadableType>();
  for (const type of options.readable ?? []) readable.set(`${type.apiVersion}, ${type.kind}`, type);
  readable.set(`${stored.apiVersion}, ${stored.kind}`, { ...stored, convert: (value) => value });

  const roundTrip = new RoundTrip();
  const typeOf = (apiVersion: string, kind: string): ReadableType => {
    const type = readable.get(`${apiVersion}, ${kind}`);
    if (type === undefined) {
      throw new Error(
        `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
      );
    }
    return type;
  };
  /** As it is to lie in the store, without its revision. */
  const inStore = (value: KubeObject): JsonObject => {
    assert(
      value.apiVersion === stored.apiVersion && value.kind === stored.kind,
      `${value.apiVersion} ${value.kind} is not what is stored: ${stored.apiVersion} ${stored.kind}`,
    );
    return withoutVersion(written === undefined ? value : written.make(value));
  };

  return {
    encode(value) {
      const { struct, apiVersion, kind } = written ?? stored;
      const bare = inStore(value);
      if (mediaType !== 'json') return writeEnvelope(apiVersion, kind, protobuf.encode(struct, bare));
      return jsonBytes(written === undefined ? bare : conform(struct, bare, { schemaProps }));
    },
    decode(bytes, resourceVersion) {
      if (isEnvelope(bytes)) {
        const { apiVersion, kind, raw } = readEnvelope(bytes);
        const type = typeOf(apiVersion, kind);
        const value = objectOf({ kind, apiVersion, ...protobuf.decode(type.struct, raw) });
        return withVersion(type.convert(value), resourceVersion, TYPED_BEFORE);
      }
      const value = objectOf(readJson(bytes.toString('utf8')));
      const type = typeOf(value.apiVersion, value.kind);
      const typed = objectOf(conform(type.struct, plain(value), { schemaProps }));
      return withVersion(type.convert(typed), resourceVersion, TYPED_BEFORE);
    },
    reread(value, resourceVersion) {
      if (mediaType === 'json' || written !== undefined) return undefined;
      const bare = roundTrip.object(stored.struct, withoutVersion(value));
      return bare && withVersion(objectOf(bare), resourceVersion, TYPED_BEFORE);
    },
    slices: {
      *encode(value, pace) {
        const { struct, apiVersion, kind } = written ?? stored;
        const bare = inStore(value);
        if (mediaType !== 'json') {
          return writeEnvelope(apiVersion, kind, yield* protobuf.encodeInSlices(struct, bare, pace));
        }
        if (written === undefined) return yield* writeJsonInSlices(bare, '\n', pace);
        const typed = yield* conformInSlices(struct, bare, { schemaProps }, pace);
        return yield* writeJsonInSlices(typed, '\n', pace);
      },
      *decode(bytes, resourceVersion, pace) {
        if (isEnvelope(bytes)) {
          const { apiVersion, kind, raw } = readEnvelope(bytes);
          const type = typeOf(apiVersion, kind);
          const message = yield* protobuf.decodeInSlices(type.struct, raw, pace);
          const value = objectOf({ kind, apiVersion, ...message });
          return withVersion(type.convert(value), resourceVersion, TYPED_BEFORE);
        }
        const value = objectOf(yield* readJsonInSlices(bytes.toString('utf8'), {}, pace));
        const type = typeOf(value.apiVersion, value.kind);
        const typed = objectOf(yield* conformInSlices(type.struct, plain(value), { schemaProps }, pace));
        return withVersion(type.convert(typed), resourceVersion, TYPED_BEFORE);
      },
      *reread(value, resourceVersion, pace) {
        if (mediaType === 'json' || written !== undefined) return undefined;
        const bare = yield* roundTrip.objectInSlices(stored.struct, withoutVersion(value), pace);
        return bare && withVersion(objectOf(bare), resourceVersion, TYPED_BEFORE);
      },
    },
  };
}

/** The codec of a custom resource: JSON as it is. */
export function customCodec(): ObjectCodec {
  return {
    encode: (value) => jsonBytes(withoutVersion(value)),
    decode(bytes, resourceVersion) {
      const value = objectOf(readJson(bytes.toString('utf8')));
      return withVersion(value, resourceVersion, (name) => name < 'resourceVersion');
    },
    keepsOrder: true,
    slices: {
      encode: (value, pace) => writeJsonInSlices(withoutVersion(value), '\n', pace),
      *decode(bytes, resourceVersion, pace) {
        const value = objectOf(yield* readJsonInSlices(bytes.toString('utf8'), {}, pace));
        return withVersion(value, resourceVersion, (name) => name < 'resourceVersion');
      },
      // oxlint-disable-next-line require-yield -- only reading tells
      *reread() {
        return undefined;
      },
    },
  };
}

/** Whether a member of metadata stands before resourceVersion in Go's struct. */
const TYPED_BEFORE = (name: string): boolean => {
  switch (name) {
    case 'name':
    case 'generateName':
    case 'namespace':
    case 'selfLink':
    case 'uid':
      return true;
    default:
      return false;
  }
};

/** The object with its revision at the place Go would write it: before the first member that comes after it. */
function withVersion(
  value: KubeObject,
  resourceVersion: string,
  isBefore: (name: string) => boolean,
): KubeObject {
  const metadata: Record<string, Json> = {};
  let placed = false;
  for (const [name, member] of membersOf(value.metadata)) {
    if (name === 'resourceVersion') continue;
    if (!placed && !isBefore(name)) {
      metadata['resourceVersion'] = resourceVersion;
      placed = true;
    }
    setMember(metadata, name, member);
  }
  if (!placed) metadata['resourceVersion'] = resourceVersion;
  return { ...value, metadata };
}

function withoutVersion(value: KubeObject): JsonObject {
  const metadata: Record<string, Json> = {};
  for (const [name, member] of membersOf(value.metadata)) {
    if (name !== 'resourceVersion' && name !== 'selfLink') setMember(metadata, name, member);
  }
  return plain({ ...value, metadata });
}

function membersOf(metadata: ObjectMeta): [string, Json][] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as plain()
  return Object.entries(metadata as unknown as JsonObject);
}

function jsonBytes(value: JsonObject): Buffer {
  return Buffer.from(`${writeJson(value)}\n`, 'utf8');
}

/** @throws Error for what cannot be an object */
function objectOf(value: Json): KubeObject {
  if (!isJsonObject(value)) throw new Error('the stored value is no object');
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    throw new Error("Object 'apiVersion' is missing in the stored value");
  }
  if (typeof kind !== 'string' || kind === '')
    throw new Error("Object 'Kind' is missing in the stored value");
  if (!isJsonObject(metadata)) throw new Error("Object 'metadata' is missing in the stored value");
  // Types of the members of metadata are what was checked when it was written.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return value as unknown as KubeObject;
}

/** The same value, seen as JSON. */
function plain(value: KubeObject): JsonObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object is JSON by its law (api/meta.ts)
  return value as unknown as JsonObject;
}
