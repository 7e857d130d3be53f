/** What a service does on behalf of its caller is done by that caller: with its token, or with its certificate. */
import { expect, test } from '@jest/globals';
import { etcdserverpb, services, v3lockpb } from '@keelson/proto';
import { inProcessChannel, Metadata, MethodTable, type CallContext } from '@keelson/rpc';
import { registerLock } from './lock.ts';

const CERTIFICATE = { commonName: 'carl', dnsNames: [], ipAddresses: [] };

test.each([
  ['a certificate', CERTIFICATE, new Metadata(), ['carl', undefined, undefined]],
  ['a token', undefined, Metadata.of({ token: 'word.7' }), [undefined, 'word.7', undefined]],
  [
    'both, of the gateway',
    CERTIFICATE,
    Metadata.of({ token: 'word.7', 'grpcgateway-accept': '*/*' }),
    ['carl', 'word.7', '*/*'],
  ],
  ['nothing', undefined, new Metadata(), [undefined, undefined, undefined]],
])('a lock is taken and given back with %s', async (_name, certificate, metadata, want) => {
  const table = new MethodTable();
  const seen: unknown[] = [];
  const see = ({ peerCertificate, metadata: given }: CallContext): void => {
    seen.push([peerCertificate?.commonName, given.text('token'), given.text('grpcgateway-accept')]);
  };
  table.unary(services.KV.methods.txn, (_request, call) => {
    see(call);
    return new etcdserverpb.TxnResponse({
      header: new etcdserverpb.ResponseHeader({ revision: 2 }),
      succeeded: true,
      responses: [{}, { responseRange: new etcdserverpb.RangeResponse() }].map(
        (fields) => new etcdserverpb.ResponseOp(fields),
      ),
    });
  });
  table.unary(services.KV.methods.deleteRange, (_request, call) => {
    see(call);
    return new etcdserverpb.DeleteRangeResponse();
  });
  const direct = inProcessChannel(table);
  registerLock(table, direct);
  const channel = direct.onBehalfOf(certificate);
  const { Lock } = services;
  const { key } = await channel.unary(
    Lock.methods.lock,
    new v3lockpb.LockRequest({ name: Buffer.from('m'), lease: 1n }),
    { metadata },
  );
  await channel.unary(Lock.methods.unlock, new v3lockpb.UnlockRequest({ key }), { metadata });
  expect(seen).toEqual([want, want]);
  direct.close();
});
