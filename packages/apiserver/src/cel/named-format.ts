/** A named format as a value: what format.named() gives and validate() asks. */

import { opaque, type CelType } from './types.ts';
import { Opaque } from './values.ts';

const FORMAT_TYPE = opaque('kubernetes.NamedFormat');

/** A format by name, what it says of a text, and how long an expression it costs like. */
export class NamedFormat extends Opaque {
  override readonly type: CelType = FORMAT_TYPE;
  readonly name: string;
  readonly regexSize: number;
  readonly errors: (text: string) => readonly string[];

  constructor(name: string, regexSize: number, errors: (text: string) => readonly string[]) {
    super();
    this.name = name;
    this.regexSize = regexSize;
    this.errors = errors;
  }

  override equals(other: Opaque): boolean {
    return other instanceof NamedFormat && this.name === other.name;
  }
}
