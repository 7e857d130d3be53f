import { describe, expect, test } from '@jest/globals';

import * as limits from './limits.ts';

describe('limits', () => {
  test('that follow from flags', () => {
    expect(limits.receiveBytesMax(limits.REQUEST_BYTES_DEFAULT)).toBe(2_097_152);
    expect(limits.requestTimeoutMs(1_000)).toBe(7_000);
    expect(limits.leaseTtlSecondsMin(1_000)).toBe(2);
    expect(limits.leaseTtlSecondsMin(2_000)).toBe(3);
    expect(limits.leaseTtlSecondsMin(50_000)).toBe(75);
  });

  test('leave room for each other', () => {
    // A record holds the largest entry the other bounds let through by default.
    expect(limits.WAL_RECORD_BYTES_MAX).toBeGreaterThan(
      limits.REQUEST_BYTES_RECOMMENDED_MAX + limits.GRPC_OVERHEAD_BYTES,
    );
    expect(limits.PENDING_PROPOSAL_BYTES_MAX).toBeGreaterThan(2 * limits.WAL_RECORD_BYTES_MAX);
    expect(limits.APPLY_GAP_PRIORITY_MAX).toBeGreaterThan(limits.APPLY_GAP_MAX);
    expect(limits.peerMessageBytesMax(limits.REQUEST_BYTES_DEFAULT)).toBeGreaterThan(
      limits.RAFT_MESSAGE_BYTES_MAX,
    );
  });
});
