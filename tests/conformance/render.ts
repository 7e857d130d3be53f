/**
 * A response as lines that can be compared: every field with its path and value, defaults too. What two
 * clusters cannot have in common is replaced by a word, as in normalize.ts.
 */
import { RpcError, statusName } from '@keelson/rpc';
import type { Identity } from './sides.ts';

/** Fields whose values are a cluster's own, by name. */
const VOLATILE_FIELDS: ReadonlySet<string> = new Set([
  'raftTerm',
  'raftIndex',
  'raftAppliedIndex',
  'dbSize',
  'dbSizeInUse',
]);

export class Renderer {
  private readonly ids: ReadonlyMap<bigint, string>;

  constructor(identity: Identity) {
    this.ids = new Map([
      [identity.clusterId, '<cluster>'],
      ...identity.members.map((member) => [member.id, `<${member.role}>`] as const),
    ]);
  }

  message(message: object): string[] {
    const lines: string[] = [];
    this.walk('', message, lines);
    return lines;
  }

  /** Code and text: both are the contract. */
  error(error: unknown): string[] {
    if (error instanceof RpcError) return [`error ${statusName(error.code)}: ${error.message}`];
    throw error;
  }

  private walk(path: string, value: unknown, lines: string[]): void {
    if (Buffer.isBuffer(value)) lines.push(`${path} ${bytesText(value)}`);
    else if (Array.isArray(value)) {
      lines.push(`${path} ${value.length} items`);
      for (const [i, item] of value.entries()) this.walk(`${path}[${i}]`, item, lines);
    } else if (typeof value === 'object' && value !== null) {
      for (const [field, inner] of Object.entries(value)) {
        const at = path === '' ? field : `${path}.${field}`;
        lines.push(...(VOLATILE_FIELDS.has(field) ? [`${at} <any>`] : []));
        if (!VOLATILE_FIELDS.has(field)) this.walk(at, inner, lines);
      }
    } else if (typeof value === 'bigint') lines.push(`${path} ${this.ids.get(value) ?? value.toString()}`);
    else lines.push(`${path} ${value === undefined ? 'absent' : JSON.stringify(value)}`);
  }
}

/** Text when it is short, else its length and both ends: a value may be a megabyte. */
function bytesText(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (text.length <= 80) return JSON.stringify(text);
  return `${JSON.stringify(text.slice(0, 20))} … ${JSON.stringify(text.slice(-20))} (${bytes.length} bytes)`;
}
