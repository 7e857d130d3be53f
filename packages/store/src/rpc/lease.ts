/** The Lease service. Grants and revokes go through the log; renewals and remaining times are the leader's. */
import { keyToBytes, toError } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import type { DuplexStream, MethodTable } from '@keelson/rpc';
import { CommandKind } from '../apply/command.ts';
import { leaseCost } from '../apply/quota.ts';
import { keysNeeds } from '../auth/needs.ts';
import type { Replica } from '../consensus/replica.ts';
import type { Access } from './access.ts';
import { answer, header } from './header.ts';
import type { RequireLeader } from './require-leader.ts';
import { withBytes } from './services.ts';

export function registerLease(
  table: MethodTable,
  replica: Replica,
  access: Access,
  requireLeader: RequireLeader,
): void {
  const { Lease } = services;

  table.unary(withBytes(Lease.methods.leaseGrant), async ({ message, bytes }, call) => {
    if (!replica.hasRoom(leaseCost())) await replica.refuseForSpace();
    // The id is settled here: apply draws nothing.
    const body =
      message.ID === 0n
        ? etcdserverpb.encodeLeaseGrantRequest(
            new etcdserverpb.LeaseGrantRequest({ ID: replica.drawLeaseId(), TTL: message.TTL }),
          )
        : bytes;
    const result = await replica.propose(CommandKind.LeaseGrant, body, access.known(call));
    return answer(replica, result, etcdserverpb.LeaseGrantResponse);
  });

  table.unary(withBytes(Lease.methods.leaseRevoke), async ({ bytes }, call) => {
    const caller = access.on ? await access.user(call) : undefined;
    const result = await replica.propose(CommandKind.LeaseRevoke, bytes, caller);
    return answer(replica, result, etcdserverpb.LeaseRevokeResponse);
  });

  table.unary(Lease.methods.leaseTimeToLive, async (request, call) => {
    const attached = (): Iterable<string> =>
      request.keys ? (replica.state.lessor.lookup(request.ID)?.keys ?? []) : [];
    const caller = access.on ? await access.keys(call, attached, (identity) => identity) : undefined;
    const found = await replica.leases.timeToLive(request.ID, request.keys);
    // The leader may know of keys that were not attached here yet: nobody is told one that must not be read.
    if (request.keys) access.still(caller, keysNeeds(found?.keys ?? []));
    return new etcdserverpb.LeaseTimeToLiveResponse({
      header: header(replica),
      ID: request.ID,
      TTL: found === undefined ? -1 : found.ttlSeconds,
      grantedTTL: found?.grantedSeconds ?? 0,
      keys: (found?.keys ?? []).map(keyToBytes),
    });
  });

  table.unary(Lease.methods.leaseLeases, async (_request, call) => {
    const { lessor } = replica.state;
    const list = (): etcdserverpb.LeaseLeasesResponse => {
      const leases = lessor.list().map((ID) => new etcdserverpb.LeaseStatus({ ID }));
      return new etcdserverpb.LeaseLeasesResponse({ header: header(replica), leases });
    };
    // Ids alone name no key, but tell of leases: as in etcd only who may read everything on them hears of any.
    const keys = (): string[] => lessor.list().flatMap((id) => [...(lessor.lookup(id)?.keys ?? [])]);
    return access.on ? await access.keys(call, keys, list) : list();
  });

  table.bidi(Lease.methods.leaseKeepAlive, (stream) => {
    requireLeader.add(stream);
    return new KeepAliveStream(replica, access, stream).run();
  });
}

/** Requests answered one after the other, in order, as etcd's stream handler does. */
class KeepAliveStream {
  private readonly replica: Replica;
  private readonly access: Access;
  private readonly stream: DuplexStream<
    etcdserverpb.LeaseKeepAliveRequest,
    etcdserverpb.LeaseKeepAliveResponse
  >;

  constructor(
    replica: Replica,
    access: Access,
    stream: DuplexStream<etcdserverpb.LeaseKeepAliveRequest, etcdserverpb.LeaseKeepAliveResponse>,
  ) {
    this.replica = replica;
    this.access = access;
    this.stream = stream;
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      let last: Promise<void> = Promise.resolve();
      this.stream.onMessage((request) => {
        this.stream.pause();
        last = this.answer(request).then(() => this.stream.resume());
        last.catch((error: unknown) => reject(toError(error)));
      });
      this.stream.onHalfClose(() => void last.then(resolve, () => {}));
      this.stream.onCancel(() => resolve());
    });
  }

  private async answer(request: etcdserverpb.LeaseKeepAliveRequest): Promise<void> {
    // The header is filled before the renewal, as in etcd.
    const response = new etcdserverpb.LeaseKeepAliveResponse({
      header: header(this.replica),
      ID: request.ID,
    });
    if (this.access.on) await this.access.lease(this.stream.call, request.ID);
    response.TTL = (await this.replica.leases.renew(request.ID)) ?? 0;
    if (!this.stream.write(response)) await this.stream.ready();
  }
}
