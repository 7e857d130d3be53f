/**
 * Headers and trailers of a call as an application sees them: lower-case keys, each with one or more
 * values in order. Keys that end in "-bin" carry Buffers, all others printable ASCII (gRPC over HTTP/2,
 * "Custom-Metadata"). Reserved headers (`grpc-…`, `:…`, content-type, te) never get here.
 */
export type MetadataValue = string | Buffer;

const KEY = /^[0-9a-z_.-]+$/;
const PRINTABLE = /^[ -~]*$/;

export class Metadata {
  private readonly values = new Map<string, MetadataValue[]>();

  /** Builds from plain pairs; convenient at call sites. */
  static of(pairs: Readonly<Record<string, MetadataValue>>): Metadata {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(pairs)) metadata.set(key, value);
    return metadata;
  }

  /** Number of distinct keys. */
  get size(): number {
    return this.values.size;
  }

  /** The first value of `key`; undefined when absent. */
  first(key: string): MetadataValue | undefined {
    return this.values.get(key.toLowerCase())?.[0];
  }

  /** The first value of `key` when it is text. */
  text(key: string): string | undefined {
    const value = this.first(key);
    return typeof value === 'string' ? value : undefined;
  }

  /** Every value of `key`, in order; empty when absent. Not a copy: do not change it. */
  all(key: string): readonly MetadataValue[] {
    return this.values.get(key.toLowerCase()) ?? [];
  }

  has(key: string): boolean {
    return this.values.has(key.toLowerCase());
  }

  /**
   * Replaces all values of `key`.
   * @throws TypeError when key or value could not travel in a header
   */
  set(key: string, value: MetadataValue): void {
    const name = checked(key, value);
    this.values.set(name, [value]);
  }

  /**
   * Appends a value to `key`.
   * @throws TypeError when key or value could not travel in a header
   */
  add(key: string, value: MetadataValue): void {
    const name = checked(key, value);
    const present = this.values.get(name);
    if (present === undefined) this.values.set(name, [value]);
    else present.push(value);
  }

  /** Appends what came off the wire, unchecked: judging a peer's values is its reader's business. */
  addReceived(key: string, value: MetadataValue): void {
    const present = this.values.get(key);
    if (present === undefined) this.values.set(key, [value]);
    else present.push(value);
  }

  delete(key: string): void {
    this.values.delete(key.toLowerCase());
  }

  /** Key and values, in order of first use. */
  entries(): IterableIterator<[string, readonly MetadataValue[]]> {
    return this.values.entries();
  }

  /** An independent copy (Buffers are shared: they are never changed). */
  clone(): Metadata {
    const copy = new Metadata();
    for (const [key, values] of this.values) copy.values.set(key, [...values]);
    return copy;
  }
}

function checked(key: string, value: MetadataValue): string {
  const name = key.toLowerCase();
  if (!KEY.test(name)) throw new TypeError(`invalid metadata key ${JSON.stringify(key)}`);
  if (name.endsWith('-bin')) {
    if (typeof value === 'string') throw new TypeError(`metadata ${name} takes bytes`);
  } else if (typeof value !== 'string' || !PRINTABLE.test(value)) {
    throw new TypeError(`metadata ${name} takes printable ASCII`);
  }
  return name;
}
