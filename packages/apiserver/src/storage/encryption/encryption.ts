/**
 * Encryption at rest as a server has it: a transformer for each resource, made of the configuration that counts at the
 * moment. A new configuration takes the old one's place at once; what cannot be read leaves the old one.
 *
 * Modelled on apiserver's server/options/encryptionconfig: an earlier entry of the file masks a later one, and a
 * resource that no entry names is kept as it is.
 */

import { describeResource, type GroupResource } from '../../api/meta.ts';
import type { ValueTransformer } from '../storage.ts';
import { aesCbc, aesGcm, identity, secretbox, type RandomBytes } from './ciphers.ts';
import { readEncryptionConfig, type Provider } from './encryption-config.ts';
import { PrefixTransformers, type Prefixed, type TransformationObserver } from './prefixes.ts';

/** The transformer of a key service; whoever has one brings it. */
export type KmsProvider = (provider: Extract<Provider, { readonly kind: 'kms' }>) => ValueTransformer;

export interface EncryptionOptions {
  readonly random: RandomBytes;
  /** Without it, a configuration that names a key service is refused. */
  readonly kms?: KmsProvider;
  /** Told of the values of a resource, `deployments.apps`. */
  readonly observer?: (resource: string) => TransformationObserver;
}

const CIPHERS = { aescbc: aesCbc, aesgcm: aesGcm, secretbox } as const;

const NO_KEY: Readonly<Record<keyof typeof CIPHERS, string>> = {
  aescbc: 'no matching key was found for the provided AES transformer',
  aesgcm: 'no matching key was found for the provided AES transformer',
  secretbox: 'no matching key was found for the provided Secretbox transformer',
};

type Choices = ReadonlyMap<string, readonly Prefixed[]>;

export class Encryption {
  private readonly options: EncryptionOptions;
  private file: string;
  private current: Choices;

  /** @param file the configuration's text. @throws Error that names what is wrong with it */
  constructor(file: string, options: EncryptionOptions) {
    this.options = options;
    this.file = file;
    this.current = choicesOf(file, options);
  }

  /**
   * Takes another configuration.
   *
   * @returns whether it is another
   * @throws Error as the constructor; the old one still counts then
   */
  reload(file: string): boolean {
    if (file === this.file) return false;
    this.current = choicesOf(file, this.options);
    this.file = file;
    return true;
  }

  /** For the storage of a resource; follows the configuration. */
  transformer(resource: GroupResource): ValueTransformer {
    const observer = this.options.observer?.(describeResource(resource));
    let made: { readonly choices: readonly Prefixed[]; readonly transformer: ValueTransformer } | undefined;
    const choice = (): ValueTransformer => {
      const choices = chosen(this.current, resource);
      if (choices === undefined) return identity;
      if (made?.choices !== choices) {
        const transformer = new PrefixTransformers(choices, 'no matching prefix found', observer);
        made = { choices, transformer };
      }
      return made.transformer;
    };
    return {
      fromStorage: (value, key) => choice().fromStorage(value, key),
      toStorage: (value, key) => choice().toStorage(value, key),
    };
  }
}

function chosen(choices: Choices, { group, resource }: GroupResource): readonly Prefixed[] | undefined {
  return choices.get(`${resource}.${group}`) ?? choices.get(`*.${group}`) ?? choices.get('*.*');
}

function choicesOf(file: string, options: EncryptionOptions): Choices {
  const lists = new Map<string, Prefixed[]>();
  for (const { resources, providers } of readEncryptionConfig(file)) {
    const choices = providers.map((provider) => prefixed(provider, options));
    const before = new Set(lists.keys());
    for (const { group, resource } of resources) {
      if (before.has(`*.${group}`) || before.has('*.*')) continue;
      const name = `${resource}.${group}`;
      lists.set(name, [...(lists.get(name) ?? []), ...choices]);
    }
  }
  return lists;
}

function prefixed(provider: Provider, { kms, random }: EncryptionOptions): Prefixed {
  switch (provider.kind) {
    case 'identity':
      return { prefix: '', transformer: identity };
    case 'kms':
      if (kms === undefined) {
        throw new Error(
          `could not configure KMSv2-Plugin's probe ${JSON.stringify(provider.name)}: not supported by this build`,
        );
      }
      return { prefix: `k8s:enc:kms:v2:${provider.name}:`, transformer: kms(provider) };
    default: {
      const cipher = CIPHERS[provider.kind];
      const keys = provider.keys.map(({ name, secret }) => ({
        prefix: `${name}:`,
        transformer: cipher(secret, random),
      }));
      return {
        prefix: `k8s:enc:${provider.kind}:v1:`,
        transformer: new PrefixTransformers(keys, NO_KEY[provider.kind]),
      };
    }
  }
}
