import { describe, expect, test } from '@jest/globals';
import { Prng, type Clock } from '@keelson/base';
import { RpcError, StatusCode, inProcessChannel, MethodTable, type Channel } from '@keelson/rpc';
import { Endpoints, parseAddress } from './endpoints.ts';

test.each<[string, string, boolean | undefined]>([
  ['127.0.0.1:2379', '127.0.0.1:2379', undefined],
  ['http://localhost:2379', 'localhost:2379', false],
  ['http://localhost:2379/', 'localhost:2379', false],
  ['https://localhost:2379', 'localhost:2379', true],
  ['[::1]:2379', '[::1]:2379', undefined],
  ['https://[::1]:2379', '[::1]:2379', true],
  ['unix:///run/etcd.sock', 'unix:/run/etcd.sock', undefined],
  ['unix:/run/etcd.sock', 'unix:/run/etcd.sock', undefined],
  ['unixs:///run/etcd.sock', 'unix:/run/etcd.sock', true],
  ['unix:run/etcd.sock', 'unix:run/etcd.sock', undefined],
  ['unixs://localhost:m1', 'unix:localhost:m1', true],
  ['in-process', 'in-process', undefined],
])('endpoint %s is %s, TLS %s', (endpoint, address, secure) => {
  expect(parseAddress(endpoint)).toEqual({ address, secure });
});

test.each([
  '',
  'localhost',
  'https://localhost',
  'ftp://x:1',
  'http://a:1/path',
  'a b:1',
  '::1:2379',
  'unix:',
  'unixs://',
])('endpoint %j is refused', (endpoint) => {
  expect(() => parseAddress(endpoint)).toThrow(TypeError);
});

/** A clock that moves when told. */
class TestClock implements Clock {
  now = 1000;
  nowMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    return this.now;
  }
  setTimer(): { cancel(): void } {
    return { cancel: () => {} };
  }
}

/** Channels that connect unless their address is in `dead`. */
function fakes(dead: Set<string>): { factory: (address: string) => Channel; dialled: string[] } {
  const dialled: string[] = [];
  return {
    dialled,
    factory(address) {
      const base = inProcessChannel(new MethodTable());
      let state: Channel['state'] = 'idle';
      return {
        address,
        get state() {
          return dead.has(address) ? 'failed' : state;
        },
        connect() {
          dialled.push(address);
          if (dead.has(address)) {
            return Promise.reject(new RpcError(StatusCode.Unavailable, 'dead', undefined, true));
          }
          state = 'ready';
          return Promise.resolve();
        },
        onStateChange: (task) => base.onStateChange(task),
        unary: (descriptor, request, options) => base.unary(descriptor, request, options),
        serverStream: (descriptor, request, options) => base.serverStream(descriptor, request, options),
        bidi: (descriptor, options) => base.bidi(descriptor, options),
        close() {
          state = 'closed';
          base.close();
        },
      };
    },
  };
}

describe('choosing', () => {
  const make = (dead: Set<string>, clock: TestClock) => {
    const { factory, dialled } = fakes(dead);
    return { endpoints: new Endpoints(['a:1', 'b:1', 'c:1'], factory, clock, new Prng(1), 1000), dialled };
  };

  test('it stays with one while it works, and comes back only when another fails', async () => {
    const clock = new TestClock();
    const { endpoints, dialled } = make(new Set(), clock);
    const first = await endpoints.acquire(1000);
    for (let i = 0; i < 5; i++) expect(await endpoints.acquire(1000)).toBe(first);
    expect(dialled).toEqual([first.address]);
    endpoints.failed(first);
    const second = await endpoints.acquire(1000);
    expect(second).not.toBe(first);
    clock.now += 10_000;
    expect(await endpoints.acquire(1000)).toBe(second);
  });

  test('those that failed lately are asked last, but asked', async () => {
    const clock = new TestClock();
    const dead = new Set(['a:1', 'b:1', 'c:1']);
    const { endpoints, dialled } = make(dead, clock);
    await expect(endpoints.acquire(1000)).rejects.toMatchObject({ reason: 'NO_ENDPOINT', definite: true });
    expect(dialled.toSorted()).toEqual(['a:1', 'b:1', 'c:1']);
    dead.delete('b:1');
    expect((await endpoints.acquire(1000)).address).toBe('b:1');
  });

  test('one can be asked for by name, and no other is taken', async () => {
    const { endpoints } = make(new Set(['b:1']), new TestClock());
    expect((await endpoints.acquire(1000, 'http://c:1')).address).toBe('c:1');
    await expect(endpoints.acquire(1000, 'b:1')).rejects.toMatchObject({ reason: 'NO_ENDPOINT' });
    await expect(endpoints.acquire(1000, 'd:1')).rejects.toMatchObject({ code: StatusCode.InvalidArgument });
  });

  test('a new list keeps the channels it shares with the old', async () => {
    const { endpoints } = make(new Set(), new TestClock());
    const kept = await endpoints.acquire(1000, 'b:1');
    endpoints.replace(['b:1', 'd:1']);
    expect(endpoints.addresses).toEqual(['b:1', 'd:1']);
    expect(await endpoints.acquire(1000, 'b:1')).toBe(kept);
    expect(kept.channel.state).toBe('ready');
    // The same address with TLS is another way to it.
    endpoints.replace(['https://b:1', 'd:1']);
    expect(kept.channel.state).toBe('closed');
  });

  test('different seeds start at different members', () => {
    const starts = new Set<number>();
    for (let seed = 0; seed < 20; seed++) starts.add(new Prng(seed).below(3));
    expect(starts.size).toBe(3);
  });
});
