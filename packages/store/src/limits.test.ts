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
    // A record holds the largest entry the other bounds let through, and so does a message to a peer.
    expect(limits.WAL_RECORD_BYTES_MAX).toBeGreaterThan(limits.REQUEST_BYTES_MAX);
    expect(limits.PEER_MESSAGE_BYTES_MAX).toBeGreaterThan(limits.WAL_RECORD_BYTES_MAX);
    for (const bytes of [limits.REQUEST_BYTES_DEFAULT, limits.REQUEST_BYTES_MAX])
      expect(limits.pendingProposalBytesMax(bytes)).toBeGreaterThanOrEqual(2 * bytes);
    // What a segment of the log may have (wal.ts) holds one that is nearly full, and one write.
    expect(64_000_000 + limits.pendingProposalBytesMax(limits.REQUEST_BYTES_MAX)).toBeLessThan(2 ** 30);
    expect(limits.APPLY_GAP_PRIORITY_MAX).toBeGreaterThan(limits.APPLY_GAP_MAX);
  });
});
