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
export interface TransformationObserver {
  readonly monotonicMs: () => number;
  /** @param prefix of who did it */
  transformed(direction: Direction, prefix: string, succeeded: boolean, seconds: number): void;
}

type Direction = 'from_storage' | 'to_storage';

export class PrefixTransformers implements ValueTransformer {
  private readonly choices: readonly { readonly prefix: Buffer; readonly transformer: ValueTransformer }[];
  private readonly names: readonly string[];
  private readonly noneFits: string;
  private readonly observer: TransformationObserver | undefined;

  /** @param noneFits the text when no choice reads a value */
  constructor(choices: readonly Prefixed[], noneFits: string, observer?: TransformationObserver) {
    this.choices = choices.map(({ prefix, transformer }) => ({ prefix: Buffer.from(prefix), transformer }));
    this.names = choices.map(({ prefix }) => (prefix === '' ? 'identity' : prefix));
    this.noneFits = noneFits;
    this.observer = observer;
  }

  fromStorage(value: Buffer, key: string): TransformedValue | Promise<TransformedValue> {
    return this.open(value, key, 0, []);
  }

  toStorage(value: Buffer, key: string): Buffer | Promise<Buffer> {
    const [{ prefix, transformer }] = this.choices;
    const [name] = this.names;
    const note = this.begin('to_storage', name);
    const done = (bytes: Buffer): Buffer => {
      note?.(true);
      return prefix.length === 0 ? bytes : Buffer.concat([prefix, bytes]);
    };
    const failed = (error: unknown): never => {
      note?.(false);
      throw error;
    };
    try {
      const bytes = transformer.toStorage(value, key);
      return Buffer.isBuffer(bytes) ? done(bytes) : bytes.then(done, failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** @returns to be told how it went; undefined where nobody wants to know */
  private begin(direction: Direction, prefix: string): ((succeeded: boolean) => void) | undefined {
    const { observer } = this;
    if (observer === undefined) return undefined;
    const startMs = observer.monotonicMs();
    return (succeeded) =>
      observer.transformed(direction, prefix, succeeded, (observer.monotonicMs() - startMs) / 1_000);
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
      const note = this.begin('from_storage', this.names[index]);
      const failed = (error: unknown): void => {
        // What is encrypted is no failure of the choice that does not encrypt.
        if (prefix.length === 0) return;
        note?.(false);
        errors.push(error);
      };
      const done = (opened: TransformedValue): TransformedValue => {
        note?.(true);
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
      this.observer?.transformed('from_storage', 'unknown', false, 0);
      throw new Error(this.noneFits);
    }
    if (errors.length === 1) throw errors[0];
    throw new Error(
      `[${errors.map((error) => (error instanceof Error ? error.message : String(error))).join(', ')}]`,
    );
  }
}
