/** Encryption at rest as a server has it: the file its flags name, and another look at it where they say so. */

import { toError, type Clock, type Logger } from '@keelson/base';
import { nativeChannel, type Channel } from '@keelson/rpc';

import type { GroupResource } from '../api/meta.ts';
import { ConfigFileError } from '../codec/config-file.ts';
import { YamlError } from '../codec/yaml.ts';
import type { HealthCheck } from '../handlers/health.ts';
import { Counter, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { EtcdConfig } from '../options/config.ts';
import { Encryption, type KmsProvider } from '../storage/encryption/encryption.ts';
import { keyService } from '../storage/encryption/kms-client.ts';
import { KmsTransformer } from '../storage/encryption/kms.ts';
import type { ValueTransformer } from '../storage/storage.ts';
import { ConfigReload } from './config-reload.ts';

/** Of a cipher it is some microseconds, of a key service as much as it takes; the original's. */
const TRANSFORMATION_SECONDS: readonly number[] = Array.from({ length: 25 }, (_, at) => 5e-6 * 2 ** at);

export interface EncryptionParts {
  readonly config: Pick<EtcdConfig, 'encryptionFile' | 'encryptionReload'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** A file's text. @throws Error that names it */
  readonly readFile: (path: string) => string;
  /** A random whole number, 0 ≤ n < limit, that nobody can foresee. */
  readonly random: (limit: number) => number;
  readonly uuid: () => string;
  /** Of this server: bootstrap/identity-lease.ts. */
  readonly serverId: string;
}

export interface EncryptionAtRest {
  /** For the storage of a resource. */
  readonly transformer: (resource: GroupResource) => ValueTransformer;
  /** Of key services. */
  readonly checks: readonly HealthCheck[];
  start(): void;
  stop(): void;
}

/**
 * @returns undefined where values are stored as they are
 * @throws Error for a file that cannot be used
 */
export function makeEncryption(parts: EncryptionParts): EncryptionAtRest | undefined {
  const { config, clock, metrics, readFile, random, uuid } = parts;
  const { encryptionFile, encryptionReload } = config;
  if (encryptionFile === '') return undefined;
  const operations = metrics.add(
    new Counter(
      'apiserver_storage_transformation_operations_total',
      'Values that were encrypted or decrypted.',
      ['resource', 'status', 'transformation_type', 'transformer_prefix'],
    ),
  );
  const durations = metrics.add(
    new Histogram(
      'apiserver_storage_transformation_duration_seconds',
      'How long values took to be encrypted or decrypted, seconds.',
      ['transformation_type', 'transformer_prefix'],
      TRANSFORMATION_SECONDS,
    ),
  );
  const bytes = (size: number): Buffer => Buffer.from(Array.from({ length: size }, () => random(256)));
  const services = new KeyServices({ clock, uuid, random: bytes });
  const { text, encryption } = load(readFile, encryptionFile, (file) => {
    return new Encryption(file, {
      random: bytes,
      kms: services.provider,
      observer: (resource) => ({
        monotonicMs: () => clock.monotonicMs(),
        transformed(direction, prefix, succeeded, seconds) {
          operations.add([resource, succeeded ? 'OK' : 'Unknown', direction, prefix]);
          if (succeeded) durations.observe([direction, prefix], seconds);
        },
      }),
    });
  });
  const reload = encryptionReload
    ? new ConfigReload({
        ...parts,
        what: 'encryption',
        path: encryptionFile,
        text,
        prepare: (changed) => () => encryption.reload(changed),
      })
    : undefined;
  return {
    transformer: (resource) => encryption.transformer(resource),
    checks: services.empty && reload === undefined ? [] : [services.check],
    start: () => {
      services.start();
      reload?.start();
    },
    stop: () => {
      services.stop();
      reload?.stop();
    },
  };
}

/** The key services that the configuration has named so far; one that is named again is the same. */
class KeyServices {
  private readonly given: Pick<EncryptionParts, 'clock' | 'uuid'> & {
    readonly random: (size: number) => Buffer;
  };
  private readonly services = new Map<
    string,
    { readonly channel: Channel; readonly transformer: KmsTransformer }
  >();
  private running = false;

  constructor(given: KeyServices['given']) {
    this.given = given;
  }

  get empty(): boolean {
    return this.services.size === 0;
  }

  readonly provider: KmsProvider = ({ name, endpoint, timeoutMs }) => {
    const key = JSON.stringify([name, endpoint, timeoutMs]);
    const known = this.services.get(key);
    if (known !== undefined) return known.transformer;
    const { clock, uuid, random } = this.given;
    const channel = nativeChannel(endpoint, { clock });
    const service = keyService(channel, timeoutMs);
    const transformer = new KmsTransformer({ name, service, random, uuid, clock });
    this.services.set(key, { channel, transformer });
    if (this.running) transformer.start();
    return transformer;
  };

  readonly check: HealthCheck = {
    name: 'kms-providers',
    check: async () => {
      const problems = await Promise.all(
        [...this.services.values()].map(({ transformer }) => transformer.problem()),
      );
      return problems.find((problem) => problem !== undefined);
    },
  };

  start(): void {
    this.running = true;
    for (const { transformer } of this.services.values()) transformer.start();
  }

  stop(): void {
    for (const { transformer, channel } of this.services.values()) {
      transformer.stop();
      channel.close();
    }
  }
}

function load(
  readFile: (path: string) => string,
  path: string,
  make: (file: string) => Encryption,
): { readonly text: string; readonly encryption: Encryption } {
  try {
    const text = readFile(path);
    return { text, encryption: make(text) };
  } catch (error) {
    const why = toError(error).message;
    const where = `error decoding encryption provider configuration file ${JSON.stringify(path)}: `;
    const decoding = error instanceof ConfigFileError || error instanceof YamlError;
    throw new Error(`error while parsing file: ${decoding ? where : ''}${why}`, { cause: error });
  }
}
