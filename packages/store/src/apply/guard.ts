/**
 * The checks before a command runs, by replicated state only, so that every member decides alike: a
 * CORRUPT alarm stops everything that touches data, NOSPACE stops what takes space (etcd:
 * server/etcdserver/apply, the capped and corrupt appliers).
 */
import { etcdserverpb } from '@keelson/proto';
import { AlarmType, type Alarms } from '../alarm/alarms.ts';
import { StoreError } from '../errors.ts';
import { CommandKind } from './command.ts';
import { txnCost } from './quota.ts';

/** @throws StoreError CORRUPT or NO_SPACE */
export function guard(state: { readonly alarms: Alarms }, kind: number, body: Buffer): void {
  const alarms = state.alarms;
  if (alarms.stands(AlarmType.Corrupt) && TOUCHES_DATA.has(kind)) throw new StoreError('CORRUPT');
  if (alarms.stands(AlarmType.NoSpace) && takesSpace(kind, body)) throw new StoreError('NO_SPACE');
}

const TOUCHES_DATA: ReadonlySet<number> = new Set([
  CommandKind.Put,
  CommandKind.DeleteRange,
  CommandKind.Txn,
  CommandKind.Compaction,
  CommandKind.LeaseGrant,
  CommandKind.LeaseRevoke,
]);

/** Reads, deletes, compaction and revokes go on while space is short: they are the way out. */
function takesSpace(kind: number, body: Buffer): boolean {
  if (kind === CommandKind.Put || kind === CommandKind.LeaseGrant) return true;
  return kind === CommandKind.Txn && txnCost(etcdserverpb.decodeTxnRequest(body)) > 0;
}
