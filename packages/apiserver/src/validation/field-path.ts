/**
 * The place of a field in an object, built while a validator walks and written only when something is wrong:
 * `spec.containers[0].image`, `metadata.labels[app]`. Modelled on apimachinery's field.Path.
 */

export class FieldPath {
  private readonly parent: FieldPath | undefined;
  private readonly segment: string;

  private constructor(parent: FieldPath | undefined, segment: string) {
    this.parent = parent;
    this.segment = segment;
  }

  /** The path of a member of the object's top, and of those below it. */
  static of(name: string, ...more: readonly string[]): FieldPath {
    return new FieldPath(undefined, name).child(...more);
  }

  /** A path that starts where another ends. */
  child(...names: readonly string[]): FieldPath {
    return FieldPath.below(this, names);
  }

  private static below(path: FieldPath, names: readonly string[]): FieldPath {
    let at = path;
    for (const name of names) at = new FieldPath(at, `.${name}`);
    return at;
  }

  index(index: number): FieldPath {
    return new FieldPath(this, `[${index}]`);
  }

  key(key: string): FieldPath {
    return new FieldPath(this, `[${key}]`);
  }

  toString(): string {
    return this.parent === undefined ? this.segment : this.parent.toString() + this.segment;
  }
}
