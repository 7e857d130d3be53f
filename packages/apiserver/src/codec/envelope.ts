/**
 * The envelope of Kubernetes protobuf: the four bytes `k8s\0`, then runtime.Unknown {1 typeMeta {1 apiVersion,
 * 2 kind}, 2 raw, 3 contentEncoding, 4 contentType}. It is what is stored, and what a body of media type
 * application/vnd.kubernetes.protobuf holds.
 */

import { BYTES, ProtobufError, ProtobufReader, ProtobufWriter } from './protobuf-wire.ts';

const MAGIC = Buffer.from('k8s\0', 'latin1');

/** contentType and contentEncoding, both empty. */
const EMPTY_CONTENT_BYTES = 4;

export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** The object's message, a view into the bytes that were read. */
  readonly raw: Buffer;
}

/** Whether bytes begin like an envelope; JSON never does. */
export function isEnvelope(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes[0] === 0x6b && MAGIC.equals(bytes.subarray(0, 4));
}

export function writeEnvelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const writer = new ProtobufWriter(raw.length + apiVersion.length + kind.length + 32);
  // contentType and contentEncoding are values in Go: they are written although they are empty.
  writer.string('');
  writer.tag(4, BYTES);
  writer.string('');
  writer.tag(3, BYTES);
  writer.bytes(raw);
  writer.tag(2, BYTES);
  const before = writer.size;
  writer.string(kind);
  writer.tag(2, BYTES);
  writer.string(apiVersion);
  writer.tag(1, BYTES);
  writer.varint(writer.size - before);
  writer.tag(1, BYTES);
  writer.raw(MAGIC);
  return writer.finish();
}

/** What stands around a message of so many bytes in its envelope. */
export function envelopeAround(
  apiVersion: string,
  kind: string,
  rawBytes: number,
): { readonly before: Buffer; readonly after: Buffer } {
  const empty = writeEnvelope(apiVersion, kind, Buffer.alloc(0));
  // The tag of the message and its length, one byte each, stand before contentType and contentEncoding.
  const at = empty.length - EMPTY_CONTENT_BYTES - 1;
  const writer = new ProtobufWriter(16);
  writer.varint(rawBytes);
  return {
    before: Buffer.concat([empty.subarray(0, at), writer.finish()]),
    after: empty.subarray(at + 1),
  };
}

/** @throws ProtobufError for bytes that are no envelope */
export function readEnvelope(bytes: Buffer): Envelope {
  if (!isEnvelope(bytes)) {
    throw new ProtobufError(
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  }
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = bytes.subarray(0, 0);
  const reader = new ProtobufReader(bytes, MAGIC.length);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + BYTES) {
      const meta = reader.message();
      while (!meta.done) {
        const inner = meta.varint();
        if (inner === 8 + BYTES) apiVersion = meta.string();
        else if (inner === 16 + BYTES) kind = meta.string();
        else meta.skip(inner % 8, Math.floor(inner / 8));
      }
    } else if (tag === 16 + BYTES) {
      raw = reader.view();
    } else {
      reader.skip(tag % 8, Math.floor(tag / 8));
    }
  }
  return { apiVersion, kind, raw };
}
