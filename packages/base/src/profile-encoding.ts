/**
 * V8's profiles in the form that Go's pprof reads (github.com/google/pprof, profile.proto): functions, places, and
 * samples as the stacks above them. Pure; written by hand because it is a dozen fields.
 */

/** A node of V8's call tree, as the inspector gives it. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0. */
  readonly lineNumber: number;
}

/** A place in the tree with what was measured right there, one figure a kind. */
export interface StackNode {
  readonly frame: CallFrame;
  readonly values: readonly number[];
  readonly children: readonly StackNode[];
}

export interface ProfileKind {
  readonly type: string;
  readonly unit: string;
}

export interface ProfileFacts {
  /** What `values` of each node are. */
  readonly kinds: readonly ProfileKind[];
  /** How far apart samples are, of the last kind. */
  readonly period: number;
  readonly timeMs: number;
  readonly durationMs: number;
}

/** The bytes of profile.proto's Profile; pprof expects them zipped. */
export function encodeProfile(root: StackNode, facts: ProfileFacts): Buffer {
  return new ProfileWriter().write(root, facts);
}

class ProfileWriter {
  private readonly out: Buffer[] = [];
  private readonly strings = new Map<string, number>([['', 0]]);
  private readonly functions = new Map<string, number>();
  private readonly locations = new Map<string, number>();

  write(root: StackNode, { kinds, period, timeMs, durationMs }: ProfileFacts): Buffer {
    const kindBytes = (kind: ProfileKind): Buffer =>
      Buffer.concat([integer(1, this.text(kind.type)), integer(2, this.text(kind.unit))]);
    for (const kind of kinds) this.out.push(message(1, kindBytes(kind)));
    // Depth first with a stack of our own: V8's trees are as deep as the program's recursion.
    const pending: { readonly node: StackNode; readonly above: readonly number[] }[] = [
      { node: root, above: [] },
    ];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { node, above } = next;
      // The root stands for nothing that runs.
      const stack = node === root ? above : [this.location(node.frame), ...above];
      if (node !== root && node.values.some((value) => value > 0))
        this.out.push(message(2, Buffer.concat([packed(1, stack), packed(2, node.values)])));
      for (const child of node.children) pending.push({ node: child, above: stack });
    }
    this.out.push(integer(9, timeMs * 1e6), integer(10, durationMs * 1e6));
    const last = kinds[kinds.length - 1];
    this.out.push(message(11, kindBytes(last)), integer(12, period));
    for (const text of this.strings.keys()) this.out.push(message(6, Buffer.from(text, 'utf8')));
    return Buffer.concat(this.out);
  }

  private location(frame: CallFrame): number {
    const key = `${frame.functionName}\0${frame.url}\0${frame.lineNumber}`;
    const known = this.locations.get(key);
    if (known !== undefined) return known;
    const id = this.locations.size + 1;
    this.locations.set(key, id);
    const line = Buffer.concat([integer(1, this.functionOf(key, frame)), integer(2, frame.lineNumber + 1)]);
    this.out.push(message(4, Buffer.concat([integer(1, id), message(4, line)])));
    return id;
  }

  private functionOf(key: string, { functionName, url, lineNumber }: CallFrame): number {
    const id = this.functions.size + 1;
    this.functions.set(key, id);
    const name = this.text(functionName === '' ? '(anonymous)' : functionName);
    const fields = [integer(1, id), integer(2, name), integer(3, name), integer(4, this.text(url))];
    this.out.push(message(5, Buffer.concat([...fields, integer(5, lineNumber + 1)])));
    return id;
  }

  private text(value: string): number {
    const known = this.strings.get(value);
    if (known !== undefined) return known;
    const place = this.strings.size;
    this.strings.set(value, place);
    return place;
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = Math.max(0, Math.round(value));
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function message(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

function packed(field: number, values: readonly number[]): Buffer {
  return message(field, Buffer.concat(values.map(varint)));
}
