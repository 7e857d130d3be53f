/** Asks one member how it is, through the client. An interface, so that the supervisor is tested without a store. */
import { Client, EtcdError } from '@keelson/client';
import type { DialTls } from '@keelson/rpc';

export interface MemberStatus {
  readonly leads: boolean;
  /** Whether it knows a leader. */
  readonly hasLeader: boolean;
  readonly learner: boolean;
  readonly term: number;
  readonly revision: number;
  readonly raftIndex: number;
  readonly dbSizeBytes: number;
}

export interface Probe {
  /** Resolves when the member answers a linearizable read within `timeoutMs`: a quorum stands behind it. */
  healthy(timeoutMs: number): Promise<boolean>;
  /** undefined when it does not answer within `timeoutMs`. */
  status(timeoutMs: number): Promise<MemberStatus | undefined>;
  close(): void;
}

export type ProbeFactory = (clientUrl: string, tls?: DialTls) => Probe;

export function clientProbe(clientUrl: string, tls?: DialTls): Probe {
  const client = new Client({ endpoints: [clientUrl], ...(tls === undefined ? {} : { tls }) });
  return {
    async healthy(timeoutMs) {
      try {
        await client.kv.get('health', { timeoutMs });
        return true;
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        return error.reason === 'PERMISSION_DENIED';
      }
    },
    async status(timeoutMs) {
      try {
        const status = await client.maintenance.status({ timeoutMs });
        return {
          leads: status.leader !== 0n && status.leader === status.header?.memberId,
          hasLeader: status.leader !== 0n,
          learner: status.isLearner,
          term: status.raftTerm,
          revision: status.header?.revision ?? 0,
          raftIndex: status.raftIndex,
          dbSizeBytes: status.dbSize,
        };
      } catch (error) {
        if (error instanceof EtcdError) return undefined;
        throw error;
      }
    },
    close: () => client.close(),
  };
}
