/**
 * Which calls are traced: those whose caller's span is, and of those without a caller's span so many in a million,
 * chosen by the trace's id, so that all who see the id choose alike (OpenTelemetry's ParentBased over
 * TraceIDRatioBased, with Go's arithmetic).
 */
import type { RemoteParent } from './trace-context.ts';

const PER_MILLION = 1_000_000;
const IDS = 1n << 63n;

export class Sampler {
  /** Of the id's lower 63 bits, those below it are chosen. */
  private readonly bound: bigint;

  /** @param perMillion 0 to 1,000,000 */
  constructor(perMillion: number) {
    this.bound = (IDS * BigInt(perMillion)) / BigInt(PER_MILLION);
  }

  /** @param traceId 32 hex digits: the parent's, or the one the trace would get */
  sampled(parent: RemoteParent | undefined, traceId: string): boolean {
    if (parent !== undefined) return parent.sampled;
    return BigInt(`0x${traceId.slice(16)}`) >> 1n < this.bound;
  }
}
