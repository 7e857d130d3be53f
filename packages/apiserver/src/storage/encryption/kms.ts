/**
 * Encryption by a key service, KMS v2: the service encrypts a seed once, of which each value's key is derived; it is asked
 * again when its key changes, and for seeds of before. A value names the key it was encrypted with; when that is not the
 * service's any more, the value is stale.
 *
 * Modelled on apiserver's encrypt/envelope/kmsv2. The seed is kept in memory only.
 */

import { createHash, createHmac } from 'node:crypto';

import { toError, type Clock, type Timer } from '@keelson/base';

import type { TransformedValue, ValueTransformer } from '../storage.ts';
import { aesGcm, type RandomBytes } from './ciphers.ts';
import type { KeyService } from './kms-client.ts';
import {
  AES_GCM_KEY,
  ENCRYPTED_OBJECT,
  HKDF_SEED,
  type Annotations,
  type EncryptedObject,
  type KmsStatus,
} from './kms-messages.ts';

export interface KmsOptions {
  /** Of the provider, for messages. */
  readonly name: string;
  readonly service: KeyService;
  readonly random: RandomBytes;
  readonly uuid: () => string;
  readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>;
}

/** What values are written with. */
interface Writing {
  readonly seed: Buffer;
  readonly source: Buffer;
  readonly keyId: string;
  readonly annotations: Annotations;
  /** Without a word of the service, nothing is written after it. */
  readonly untilMs: number;
}

const SEED_BYTES = 32;
const INFO_BYTES = 32;
/** As the original: how often the service is asked how it is, and how long its last word counts. */
const POLL_MS = 60_000;
const POLL_FAILED_MS = 10_000;
const VALID_MS = 180_000;
/** Seeds of before that are kept; the original keeps those of an hour. */
const SEEDS_MAX = 1_000;
const KEY_ID_BYTES_MAX = 1_024;
const SOURCE_BYTES_MAX = 1_024;
const ANNOTATION_BYTES_MAX = 32 * 1_024;

export class KmsTransformer implements ValueTransformer {
  private readonly options: KmsOptions;
  private writing: Writing | undefined = undefined;
  private asking: Promise<Writing> | undefined = undefined;
  private readonly seeds = new Map<string, Buffer>();
  private timer: Timer | undefined = undefined;
  private stopped = false;

  constructor(options: KmsOptions) {
    this.options = options;
  }

  /** Asks the service how it is, and again from time to time. */
  start(): void {
    this.refresh().then(
      () => this.later(POLL_MS),
      () => this.later(POLL_FAILED_MS),
    );
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Why the service cannot be used; undefined when it can. */
  async problem(): Promise<string | undefined> {
    try {
      await this.refresh();
      return undefined;
    } catch (error) {
      return toError(error).message;
    }
  }

  toStorage(value: Buffer, key: string): Buffer | Promise<Buffer> {
    const { writing } = this;
    if (writing !== undefined && this.options.clock.monotonicMs() < writing.untilMs) {
      return this.seal(writing, value, key);
    }
    return this.refresh().then((fresh) => this.seal(fresh, value, key));
  }

  fromStorage(value: Buffer, key: string): TransformedValue | Promise<TransformedValue> {
    const object = ENCRYPTED_OBJECT.decode(value);
    checkObject(object);
    const known = this.seeds.get(seedKey(object));
    if (known !== undefined) return this.open(object, known, key);
    return this.seedOf(object).then((seed) => this.open(object, seed, key));
  }

  private later(ms: number): void {
    if (this.stopped) return;
    this.timer = this.options.clock.setTimer(ms, () => this.start());
  }

  /** @throws Error when the service is not well */
  private refresh(): Promise<Writing> {
    this.asking ??= this.ask().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async ask(): Promise<Writing> {
    const { name, service, random, uuid, clock } = this.options;
    const status = await service.status();
    checkStatus(name, status);
    const untilMs = clock.monotonicMs() + VALID_MS;
    if (this.writing?.keyId === status.keyId) {
      this.writing = { ...this.writing, untilMs };
      return this.writing;
    }
    const seed = random(SEED_BYTES);
    const { ciphertext, keyId, annotations } = await service.encrypt({ plaintext: seed, uid: uuid() });
    if (keyId !== status.keyId) {
      throw new Error(
        `kmsv2 provider ${JSON.stringify(name)}: the key of the encryption is not that of the status`,
      );
    }
    const writing: Writing = { seed, source: ciphertext, keyId, annotations, untilMs };
    checkObject({ ...writing, data: ciphertext, sourceType: HKDF_SEED });
    this.remember(seedKey(writing), seed);
    this.writing = writing;
    return writing;
  }

  private seal(writing: Writing, value: Buffer, key: string): Buffer {
    const { random } = this.options;
    const info = random(INFO_BYTES);
    const sealed = aesGcm(derived(writing.seed, info), random).toStorage(value, key);
    return ENCRYPTED_OBJECT.encode({
      data: Buffer.concat([info, sealed]),
      keyId: writing.keyId,
      source: writing.source,
      annotations: writing.annotations,
      sourceType: HKDF_SEED,
    });
  }

  private open(object: EncryptedObject, seed: Buffer, key: string): TransformedValue {
    const { random } = this.options;
    const fresh = object.sourceType === HKDF_SEED && object.keyId === (this.writing?.keyId ?? object.keyId);
    if (object.sourceType === AES_GCM_KEY) {
      return { value: aesGcm(seed, random).fromStorage(object.data, key).value, stale: true };
    }
    const info = object.data.subarray(0, INFO_BYTES);
    const sealed = object.data.subarray(INFO_BYTES);
    const { value } = aesGcm(derived(seed, info), random).fromStorage(sealed, key);
    return { value, stale: !fresh };
  }

  private async seedOf({ source, keyId, annotations }: EncryptedObject): Promise<Buffer> {
    const { name, service, uuid } = this.options;
    let seed: Buffer;
    try {
      seed = await service.decrypt({ ciphertext: source, uid: uuid(), keyId, annotations });
    } catch (error) {
      throw new Error(
        `kmsv2 provider ${JSON.stringify(name)}: failed to decrypt DEK, error: ${toError(error).message}`,
        { cause: error },
      );
    }
    if (seed.length !== SEED_BYTES) throw new Error('the key service answered a key of another length');
    this.remember(seedKey({ source, keyId, annotations }), seed);
    return seed;
  }

  /** The oldest make room. */
  private remember(key: string, seed: Buffer): void {
    this.seeds.set(key, Buffer.from(seed));
    if (this.seeds.size <= SEEDS_MAX) return;
    for (const oldest of this.seeds.keys()) {
      this.seeds.delete(oldest);
      break;
    }
  }
}

/** HKDF's second half (RFC 5869 2.3) for one block: the seed is as good as its first half would make it. */
function derived(seed: Buffer, info: Buffer): Buffer {
  return createHmac('sha256', seed)
    .update(info)
    .update(Buffer.from([1]))
    .digest();
}

function seedKey({
  source,
  keyId,
  annotations,
}: Pick<EncryptedObject, 'source' | 'keyId' | 'annotations'>): string {
  const hash = createHash('sha256');
  const add = (bytes: Buffer): void => void hash.update(`${bytes.length}:`).update(bytes);
  add(source);
  add(Buffer.from(keyId));
  for (const [name, value] of [...annotations].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    add(Buffer.from(name));
    add(value);
  }
  return hash.digest('base64');
}

/** @throws Error in the original's words */
function checkStatus(name: string, { healthz, version, keyId }: KmsStatus): void {
  const wrong: string[] = [];
  if (healthz !== 'ok') wrong.push(`got unexpected healthz status: ${healthz}`);
  if (version !== 'v2' && version !== 'v2beta1') {
    wrong.push(`expected KMSv2 API version v2, got ${version}`);
  }
  if (keyId === '') wrong.push(`expected KMSv2 KeyID to be set, got ${keyId}`);
  if (wrong.length === 0) return;
  const told = wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`;
  throw new Error(`kmsv2 Provider ${name} is not healthy, error: ${told}`);
}

/** @throws Error for what no key service may say */
function checkObject({ data, keyId, source, annotations, sourceType }: EncryptedObject): void {
  if (data.length === 0) throw new Error('encrypted data is empty');
  if (sourceType !== HKDF_SEED && sourceType !== AES_GCM_KEY) {
    throw new Error(`unknown encryptedDEKSourceType ${sourceType}`);
  }
  const keyBytes = Buffer.byteLength(keyId);
  if (keyBytes === 0) throw new Error('keyID is empty');
  if (keyBytes > KEY_ID_BYTES_MAX) {
    throw new Error(`keyID is ${keyBytes} bytes, which exceeds the max size of ${KEY_ID_BYTES_MAX}`);
  }
  if (source.length === 0) throw new Error('encrypted DEK source is empty');
  if (source.length > SOURCE_BYTES_MAX) {
    throw new Error(
      `encrypted DEK source is ${source.length} bytes, which exceeds the max size of ${SOURCE_BYTES_MAX}`,
    );
  }
  let bytes = 0;
  for (const [name, value] of annotations) bytes += Buffer.byteLength(name) + value.length;
  if (bytes > ANNOTATION_BYTES_MAX) {
    throw new Error(`annotations are ${bytes} bytes, which exceeds the max size of ${ANNOTATION_BYTES_MAX}`);
  }
}
