/** Encryption at rest as a server has it: the file its flags name, and another look at it where they say so. */

import type { Clock, Logger } from '@keelson/base';

import type { GroupResource } from './api/meta.ts';
import { Counter, type MetricsRegistry } from './metrics/registry.ts';
import type { EtcdConfig } from './options/config.ts';
import { Encryption } from './storage/encryption/encryption.ts';
import { EncryptionReload } from './storage/encryption/reload.ts';
import type { ValueTransformer } from './storage/storage.ts';

export interface EncryptionParts {
  readonly config: Pick<EtcdConfig, 'encryptionFile' | 'encryptionReload'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** A file's text. @throws Error that names it */
  readonly readFile: (path: string) => string;
  /** A random whole number, 0 ≤ n < limit, that nobody can foresee. */
  readonly random: (limit: number) => number;
}

export interface EncryptionAtRest {
  /** For the storage of a resource. */
  readonly transformer: (resource: GroupResource) => ValueTransformer;
  start(): void;
  stop(): void;
}

/**
 * @returns undefined where values are stored as they are
 * @throws Error for a file that cannot be used
 */
export function makeEncryption(parts: EncryptionParts): EncryptionAtRest | undefined {
  const { config, clock, logger, metrics, readFile, random } = parts;
  const { encryptionFile, encryptionReload } = config;
  if (encryptionFile === '') return undefined;
  const operations = metrics.add(
    new Counter(
      'apiserver_storage_transformation_operations_total',
      'Values that were encrypted or decrypted.',
      ['status', 'transformation_type', 'transformer_prefix'],
    ),
  );
  const encryption = load(readFile, encryptionFile, (file) => {
    return new Encryption(file, {
      random: (size) => Buffer.from(Array.from({ length: size }, () => random(256))),
      observe: (direction, prefix, succeeded) => {
        operations.add([succeeded ? 'OK' : 'Unknown', direction, prefix]);
      },
    });
  });
  const reload = encryptionReload
    ? new EncryptionReload({ encryption, read: () => readFile(encryptionFile), clock, logger, metrics })
    : undefined;
  return {
    transformer: (resource) => encryption.transformer(resource),
    start: () => reload?.start(),
    stop: () => reload?.stop(),
  };
}

function load(
  readFile: (path: string) => string,
  path: string,
  make: (file: string) => Encryption,
): Encryption {
  try {
    return make(readFile(path));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`error while parsing file: ${why}`, { cause: error });
  }
}
