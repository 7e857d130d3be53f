/** A registration that is stopped while it is being made, before a member that answers when told to. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Deferred, Prng, silentLogger, systemClock } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { MethodTable, nativeChannel, nativeServer, type RpcServer } from '@keelson/rpc';
import { Namespace } from './namespace.ts';
import { Registration } from './registration.ts';
import { Upstream } from './upstream.ts';

const LEASE = 77n;
const { KV, Lease } = services;
/** What the member was asked, in order. */
let asked: string[];
let wake: () => void;
/** Holds its answer to a method back. */
let held: Map<string, Deferred<void>>;
let server: RpcServer;
let upstream: Upstream;

async function take(what: string): Promise<void> {
  asked.push(what);
  wake();
  await held.get(what)?.promise;
}

async function until(...what: string[]): Promise<void> {
  while (asked.length < what.length)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  expect(asked).toEqual(what);
}

beforeEach(async () => {
  asked = [];
  wake = () => {};
  held = new Map();
  const table = new MethodTable()
    .unary(Lease.methods.leaseGrant, async () => {
      await take('grant');
      return new etcdserverpb.LeaseGrantResponse({ ID: LEASE, TTL: 60 });
    })
    .unary(Lease.methods.leaseRevoke, async ({ ID }) => {
      await take(`revoke ${ID}`);
      return new etcdserverpb.LeaseRevokeResponse();
    })
    .unary(KV.methods.put, async ({ key, lease }) => {
      await take(`put ${key.toString()} ${lease}`);
      return new etcdserverpb.PutResponse();
    });
  server = nativeServer(table);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  upstream = new Upstream({
    endpoints: [`127.0.0.1:${port}`],
    channelFactory: (address) => nativeChannel(address),
    clock: systemClock,
    prng: new Prng(1),
    secure: false,
    sendBytesMax: 0,
  });
});
afterEach(async () => {
  upstream.close();
  await server.close();
});

function begun(): Registration {
  const registration = new Registration({
    upstream,
    namespace: new Namespace(''),
    logger: silentLogger,
    prefix: 'proxies',
    address: 'a:1',
    ttlSeconds: 60,
    hostname: 'h',
  });
  registration.start();
  return registration;
}

test('before it has a lease: the lease is given back, and no key is put', async () => {
  const grant = new Deferred<void>();
  held.set('grant', grant);
  const registration = begun();
  await until('grant');
  await registration.stop();
  grant.resolve();
  await until('grant', 'revoke 77');
});

test('while its key is being put: the lease goes, and the key with it', async () => {
  const put = new Deferred<void>();
  held.set('put proxies/a:1 77', put);
  const registration = begun();
  await until('grant', 'put proxies/a:1 77');
  await registration.stop();
  await until('grant', 'put proxies/a:1 77', 'revoke 77');
  put.resolve();
});
