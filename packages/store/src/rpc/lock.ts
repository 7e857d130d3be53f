/**
 * The Lock service: a queue of keys below a name, the oldest of which has the lock. A key lives as long as its session's
 * lease, so a lock does not outlive its owner by more than that. (etcd: api/v3lock over clientv3/concurrency.)
 */
import { etcdserverpb, services, v3lockpb } from '@keelson/proto';
import { RpcError, StatusCode, type InProcessChannel, type MethodTable } from '@keelson/rpc';
import { createdAt, InnerClient, oldestBelow, sessionKey, waitForDeletes } from './inner-client.ts';

const { RequestOp, PutRequest, RangeRequest, TxnRequest } = etcdserverpb;

/** @param channel to this member's own services */
export function registerLock(table: MethodTable, channel: InProcessChannel): void {
  table.unary(services.Lock.methods.lock, async ({ name, lease }, call) => {
    const client = new InnerClient(channel, call);
    const session = await client.session(lease);
    const key = sessionKey(name, session);
    const response = await client.txn(
      new TxnRequest({
        compare: [createdAt(key, 0)],
        success: [
          new RequestOp({ requestPut: new PutRequest({ key, lease: session }) }),
          new RequestOp({ requestRange: oldestBelow(name) }),
        ],
        failure: [
          new RequestOp({ requestRange: new RangeRequest({ key }) }),
          new RequestOp({ requestRange: oldestBelow(name) }),
        ],
      }),
    );
    const mine = response.succeeded
      ? (response.header?.revision ?? 0)
      : response.responses[0].responseRange!.kvs[0].createRevision;
    const owner = response.responses[1].responseRange?.kvs[0];
    if (owner === undefined || owner.createRevision === mine)
      return new v3lockpb.LockResponse({ header: response.header, key });
    return waitInLine(client, name, key, mine);
  });

  table.unary(services.Lock.methods.unlock, async ({ key }, call) => {
    const { header } = await new InnerClient(channel, call).delete(key);
    return new v3lockpb.UnlockResponse({ header });
  });
}

/** Leaves the queue when the wait fails, also for a caller who is gone: nobody else would. */
async function waitInLine(
  client: InnerClient,
  name: Buffer,
  key: Buffer,
  createRevision: number,
): Promise<v3lockpb.LockResponse> {
  try {
    await waitForDeletes(client, name, createRevision - 1);
    const { header, kvs } = await client.range({ key });
    if (kvs.length === 0) throw new SessionExpired();
    return new v3lockpb.LockResponse({ header, key });
  } catch (error) {
    if (!(error instanceof SessionExpired)) await client.delete(key, true).catch(() => {});
    throw error;
  }
}

/** The lease ran out while its key was waiting. */
class SessionExpired extends RpcError {
  constructor() {
    super(StatusCode.Unknown, 'mutex: session is expired');
  }
}
