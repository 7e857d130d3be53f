import { expect, test } from '@jest/globals';
import { Metadata, RpcError, type CallContext } from '@keelson/rpc';
import { RequireLeader, type EndableStream } from './require-leader.ts';

class FakeStream implements EndableStream {
  readonly call: CallContext;
  closed = false;
  error: RpcError | undefined;

  constructor(hasLeader?: string) {
    const metadata = new Metadata();
    if (hasLeader !== undefined) metadata.set('hasleader', hasLeader);
    this.call = { metadata } as CallContext;
  }
  fail(error: RpcError): void {
    this.error = error;
    this.closed = true;
  }
}

test('streams that asked for a leader end after three election timeouts without one, others never', () => {
  const member = { leaderId: 0n };
  const require = new RequireLeader(member);
  const [asks, plain, says] = [new FakeStream('true'), new FakeStream(), new FakeStream('false')];
  for (const stream of [asks, plain, says]) require.add(stream);
  require.tick();
  require.tick();
  member.leaderId = 7n;
  require.tick();
  member.leaderId = 0n;
  require.tick();
  require.tick();
  expect(asks.error).toBeUndefined();
  require.tick();
  expect(asks.error).toMatchObject({ code: 14, message: 'etcdserver: no leader' });
  for (let i = 0; i < 5; i++) require.tick();
  expect([plain.error, says.error]).toEqual([undefined, undefined]);
});

test('a stream that is over is let go', () => {
  const require = new RequireLeader({ leaderId: 0n });
  const over = new FakeStream('true');
  require.add(over);
  over.closed = true;
  for (let i = 0; i < 5; i++) require.tick();
  expect(over.error).toBeUndefined();
});
