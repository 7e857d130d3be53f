/** What is repeated and what never is, before members that count what reaches them. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { Prng, systemClock } from '@keelson/base';
import { services } from '@keelson/proto';
import { MethodTable, RpcError, StatusCode, nativeChannel, nativeServer } from '@keelson/rpc';
import { raw } from './raw.ts';
import { Upstream } from './upstream.ts';

const METHOD = raw(services.KV.methods.put);

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Member {
  readonly port: number;
  count: number;
}

/** @param answer what it says to everything; a code is an error's */
async function member(answer: string | StatusCode, port = 0): Promise<Member> {
  const counted = { port: 0, count: 0 };
  const table = new MethodTable().unary(METHOD, () => {
    counted.count++;
    if (typeof answer === 'number') throw new RpcError(answer, 'etcdserver: no');
    return Buffer.from(answer);
  });
  const server = nativeServer(table);
  open.push(() => server.close());
  counted.port = (await server.listen({ host: '127.0.0.1', port })).port;
  return counted;
}

function upstream(...ports: number[]): Upstream {
  const made = new Upstream({
    endpoints: ports.map((port) => `127.0.0.1:${port}`),
    channelFactory: (address) => nativeChannel(address),
    clock: systemClock,
    prng: new Prng(1),
    secure: false,
    sendBytesMax: 100,
  });
  open.push(() => made.close());
  return made;
}

const REQUEST = Buffer.from('request');
const outcome = (asked: Promise<Buffer>): Promise<string> =>
  asked.then(String, (error: RpcError) => `${error.code} ${error.message}`);

describe('a call', () => {
  test('a read goes on to the next member, and stays there', async () => {
    const [bad, good] = [await member(StatusCode.Unavailable), await member('fine')];
    const up = upstream(bad.port, good.port);
    for (let i = 0; i < 5; i++) expect(await outcome(up.ask(METHOD, REQUEST, 'read'))).toBe('fine');
    expect(good.count).toBe(5);
    expect(bad.count).toBeLessThanOrEqual(1);
  });

  test('a write that reached a member is never made again', async () => {
    const members = [await member(StatusCode.Unavailable), await member(StatusCode.Unavailable)];
    const up = upstream(...members.map(({ port }) => port));
    for (let i = 1; i <= 10; i++) {
      expect(await outcome(up.ask(METHOD, REQUEST, 'write'))).toBe('14 etcdserver: no');
      expect(members[0].count + members[1].count).toBe(i);
    }
  });

  test('a write that could not leave goes to the next member', async () => {
    const gone = await member('gone');
    const good = await member('fine');
    await open.splice(0, 1)[0]();
    const up = upstream(gone.port, good.port);
    for (let i = 0; i < 3; i++) expect(await outcome(up.ask(METHOD, REQUEST, 'write'))).toBe('fine');
    expect(good.count).toBe(3);
  });

  test('a member that is away for a moment is waited for, also by a write', async () => {
    const first = await member('before');
    const up = upstream(first.port);
    expect(await outcome(up.ask(METHOD, REQUEST, 'write'))).toBe('before');
    await open.splice(0, 1)[0]();
    // The loss is noticed: before that, a write might have left.
    expect(await outcome(up.ask(METHOD, REQUEST, 'read', { timeoutMs: 50 }))).toMatch(/^(14|4) /);
    const asked = outcome(up.ask(METHOD, REQUEST, 'write'));
    const back = await member('after', first.port);
    expect(await asked).toBe('after');
    expect([first.count, back.count]).toEqual([1, 1]);
  });

  test('any other answer is an answer; nobody there is said in time; what is too large does not leave', async () => {
    const refusing = await member(StatusCode.InvalidArgument);
    expect(await outcome(upstream(refusing.port).ask(METHOD, REQUEST, 'read'))).toBe('3 etcdserver: no');
    expect(refusing.count).toBe(1);
    const nobody = upstream(refusing.port);
    await open.splice(0, 1)[0]();
    expect(await outcome(nobody.ask(METHOD, REQUEST, 'read', { timeoutMs: 200 }))).toMatch(/^(14|4) /);
    expect(await outcome(nobody.ask(METHOD, Buffer.alloc(101), 'write'))).toBe(
      '8 trying to send message larger than max (101 vs. 100)',
    );
  });
});
