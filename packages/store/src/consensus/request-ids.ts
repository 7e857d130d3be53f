/**
 * Ids for what this member asks the cluster: proposals and ReadIndex attempts. 16 bits of the member's
 * id and a 48-bit counter that starts from the boot time, as etcd's pkg/idutil makes them: two members
 * never share one, and a restarted member never repeats one still in flight.
 */
import type { CommandId } from '../apply/command.ts';

export class RequestIds {
  /** Low 16 bits of the member's id. */
  readonly owner: number;
  private sequence: number;

  /** @param bootMs wall time of this start; its low 40 bits × 256 are the counter's first value */
  constructor(memberId: bigint, bootMs: number) {
    this.owner = Number(memberId & 0xffffn);
    this.sequence = (Math.floor(bootMs) % 2 ** 40) * 256;
  }

  /** The next 48-bit counter value. */
  next(): number {
    this.sequence = (this.sequence + 1) % 2 ** 48;
    return this.sequence;
  }

  isOwn(id: CommandId): boolean {
    return id.owner === this.owner;
  }

  /** An id as one number, as a membership change carries it. */
  whole(sequence: number): bigint {
    return (BigInt(this.owner) << 48n) | BigInt(sequence);
  }

  /** An id as 8 big-endian bytes. */
  encode(sequence: number): Buffer {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeUInt16BE(this.owner, 0);
    bytes.writeUIntBE(sequence, 2, 6);
    return bytes;
  }

  /** The counter value of an own id in 8 bytes; undefined for anything else. */
  decode(bytes: Buffer): number | undefined {
    if (bytes.length !== 8 || bytes.readUInt16BE(0) !== this.owner) return undefined;
    return bytes.readUIntBE(2, 6);
  }
}
