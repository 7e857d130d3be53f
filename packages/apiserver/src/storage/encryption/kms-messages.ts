/**
 * What is said to a key service (KMS v2 of Kubernetes), and how a value that it helped to encrypt lies in the store: a few
 * flat messages of protobuf, by hand.
 *
 * Field numbers are those of k8s.io/kms apis/v2 and of apiserver's kmsv2 EncryptedObject.
 */

import type { Codec } from '@keelson/rpc';

import { BYTES, ProtobufReader, VARINT } from '../../codec/protobuf-wire.ts';

export type Annotations = ReadonlyMap<string, Buffer>;

export interface KmsStatus {
  readonly version: string;
  readonly healthz: string;
  readonly keyId: string;
}

export interface KmsEncrypted {
  readonly ciphertext: Buffer;
  readonly keyId: string;
  readonly annotations: Annotations;
}

export interface KmsDecryptRequest extends KmsEncrypted {
  readonly uid: string;
}

export interface KmsEncryptRequest {
  readonly plaintext: Buffer;
  readonly uid: string;
}

/** How the key of a value comes from what the key service encrypted. */
export const AES_GCM_KEY = 0;
export const HKDF_SEED = 1;

export interface EncryptedObject {
  readonly data: Buffer;
  readonly keyId: string;
  readonly source: Buffer;
  readonly annotations: Annotations;
  readonly sourceType: number;
}

type Field = readonly [number: number, value: string | Buffer | number | Annotations];

/** Members that say nothing are left out; maps in order of their keys. */
function encodeFields(fields: readonly Field[]): Buffer {
  const pieces: Buffer[] = [];
  const bytes = (number: number, value: Buffer): void => {
    pieces.push(varint(number * 8 + BYTES), varint(value.length), value);
  };
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      if (value !== 0) pieces.push(varint(number * 8 + VARINT), varint(value));
    } else if (value instanceof Map) {
      const entries: [string, Buffer][] = [...value];
      for (const [key, each] of entries.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        bytes(
          number,
          encodeFields([
            [1, key],
            [2, each],
          ]),
        );
      }
    } else if (typeof value === 'string' || Buffer.isBuffer(value)) {
      if (value.length > 0) bytes(number, Buffer.from(value));
    }
  }
  return Buffer.concat(pieces);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Fields of a message as they came; of one that is repeated, in order. */
class Fields {
  private readonly byNumber = new Map<number, (Buffer | number)[]>();

  /** @throws ProtobufError */
  constructor(message: Buffer) {
    const reader = new ProtobufReader(message);
    while (!reader.done) {
      const tag = reader.varint();
      const number = Math.floor(tag / 8);
      const wireType = tag % 8;
      if (wireType === BYTES) this.add(number, reader.view());
      else if (wireType === VARINT) this.add(number, Number(reader.uint64()));
      else reader.skip(wireType, number);
    }
  }

  bytes(number: number): Buffer {
    const value = this.byNumber.get(number)?.at(-1);
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  }

  text(number: number): string {
    return this.bytes(number).toString('utf8');
  }

  count(number: number): number {
    const value = this.byNumber.get(number)?.at(-1);
    return typeof value === 'number' ? value : 0;
  }

  map(number: number): Annotations {
    const entries = (this.byNumber.get(number) ?? []).filter((value) => Buffer.isBuffer(value));
    return new Map(
      entries.map((entry) => {
        const fields = new Fields(entry);
        return [fields.text(1), fields.bytes(2)];
      }),
    );
  }

  private add(number: number, value: Buffer | number): void {
    const values = this.byNumber.get(number);
    if (values === undefined) this.byNumber.set(number, [value]);
    else values.push(value);
  }
}

export const NOTHING: Codec<undefined> = { encode: () => Buffer.alloc(0), decode: () => undefined };

export const STATUS: Codec<KmsStatus> = {
  encode: ({ version, healthz, keyId }) =>
    encodeFields([
      [1, version],
      [2, healthz],
      [3, keyId],
    ]),
  decode(message) {
    const fields = new Fields(message);
    return { version: fields.text(1), healthz: fields.text(2), keyId: fields.text(3) };
  },
};

export const ENCRYPT_REQUEST: Codec<KmsEncryptRequest> = {
  encode: ({ plaintext, uid }) =>
    encodeFields([
      [1, plaintext],
      [2, uid],
    ]),
  decode(message) {
    const fields = new Fields(message);
    return { plaintext: fields.bytes(1), uid: fields.text(2) };
  },
};

export const ENCRYPTED: Codec<KmsEncrypted> = {
  encode: ({ ciphertext, keyId, annotations }) =>
    encodeFields([
      [1, ciphertext],
      [2, keyId],
      [3, annotations],
    ]),
  decode(message) {
    const fields = new Fields(message);
    return { ciphertext: fields.bytes(1), keyId: fields.text(2), annotations: fields.map(3) };
  },
};

export const DECRYPT_REQUEST: Codec<KmsDecryptRequest> = {
  encode: ({ ciphertext, uid, keyId, annotations }) =>
    encodeFields([
      [1, ciphertext],
      [2, uid],
      [3, keyId],
      [4, annotations],
    ]),
  decode(message) {
    const fields = new Fields(message);
    return {
      ciphertext: fields.bytes(1),
      uid: fields.text(2),
      keyId: fields.text(3),
      annotations: fields.map(4),
    };
  },
};

export const DECRYPTED: Codec<Buffer> = {
  encode: (plaintext) => encodeFields([[1, plaintext]]),
  decode: (message) => new Fields(message).bytes(1),
};

export const ENCRYPTED_OBJECT: Codec<EncryptedObject> = {
  encode: ({ data, keyId, source, annotations, sourceType }) =>
    encodeFields([
      [1, data],
      [2, keyId],
      [3, source],
      [4, annotations],
      [5, sourceType],
    ]),
  decode(message) {
    const fields = new Fields(message);
    return {
      data: fields.bytes(1),
      keyId: fields.text(2),
      source: fields.bytes(3),
      annotations: fields.map(4),
      sourceType: fields.count(5),
    };
  },
};
