/**
 * Several ways to read a value, told apart by how it begins; the first one writes. What another one than the first can
 * read is stale: the next update writes it anew although nothing changed.
 *
 * Modelled on apiserver's storage/value prefix transformers: one that fails does not keep those behind it from trying,
 * since two providers of one kind with other keys begin alike.
 */

import type { TransformedValue, ValueTransformer } from '../storage.ts';

export interface Prefixed {
  /** Of all it writes; empty: it is tried with everything. */
  readonly prefix: string;
  readonly transformer: ValueTransformer;
}

/** Told of each value that came or went, for the metrics. */
export type Observe = (direction: 'from_storage' | 'to_storage', prefix: string, succeeded: boolean) => void;

export class PrefixTransformers implements ValueTransformer {
  private readonly choices: readonly { readonly prefix: Buffer; readonly transformer: ValueTransformer }[];
  private readonly names: readonly string[];
  private readonly noneFits: string;
  private readonly observe: Observe | undefined;

  /** @param noneFits the text when no choice reads a value */
  constructor(choices: readonly Prefixed[], noneFits: string, observe?: Observe) {
    this.choices = choices.map(({ prefix, transformer }) => ({ prefix: Buffer.from(prefix), transformer }));
    this.names = choices.map(({ prefix }) => (prefix === '' ? 'identity' : prefix));
    this.noneFits = noneFits;
    this.observe = observe;
  }

  fromStorage(value: Buffer, key: string): TransformedValue | Promise<TransformedValue> {
    return this.open(value, key, 0, []);
  }

  toStorage(value: Buffer, key: string): Buffer | Promise<Buffer> {
    const [{ prefix, transformer }] = this.choices;
    const [name] = this.names;
    const done = (bytes: Buffer): Buffer => {
      this.observe?.('to_storage', name, true);
      return prefix.length === 0 ? bytes : Buffer.concat([prefix, bytes]);
    };
    const failed = (error: unknown): never => {
      this.observe?.('to_storage', name, false);
      throw error;
    };
    try {
      const bytes = transformer.toStorage(value, key);
      return Buffer.isBuffer(bytes) ? done(bytes) : bytes.then(done, failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Tries from the choice of that index on. */
  private open(
    value: Buffer,
    key: string,
    from: number,
    errors: unknown[],
  ): TransformedValue | Promise<TransformedValue> {
    for (let index = from; index < this.choices.length; index += 1) {
      const { prefix, transformer } = this.choices[index];
      if (!value.subarray(0, prefix.length).equals(prefix)) continue;
      const failed = (error: unknown): void => {
        // What is encrypted is no failure of the choice that does not encrypt.
        if (prefix.length === 0) return;
        this.observe?.('from_storage', this.names[index], false);
        errors.push(error);
      };
      const done = (opened: TransformedValue): TransformedValue => {
        this.observe?.('from_storage', this.names[index], true);
        return index === 0 || opened.stale ? opened : { value: opened.value, stale: true };
      };
      try {
        const opened = transformer.fromStorage(value.subarray(prefix.length), key);
        if ('value' in opened) return done(opened);
        return opened.then(done, (error: unknown) => {
          failed(error);
          return this.open(value, key, index + 1, errors);
        });
      } catch (error) {
        failed(error);
      }
    }
    if (errors.length === 0) {
      this.observe?.('from_storage', 'unknown', false);
      throw new Error(this.noneFits);
    }
    if (errors.length === 1) throw errors[0];
    throw new Error(
      `[${errors.map((error) => (error instanceof Error ? error.message : String(error))).join(', ')}]`,
    );
  }
}
