/** Which cluster a member joins, as those say who run, also when they do not say the same. */
import { afterEach, expect, test } from '@jest/globals';
import { createServer, Agent, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@keelson/base';
import { memberJson, type Member } from '../membership/member.ts';
import { agreedCluster, joiningId } from './cluster-info.ts';

const servers: Server[] = [];
const agent = new Agent();
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done))));
});

/** Time passes as fast as it is waited for. */
function quickClock(): Clock {
  let now = 0;
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    setTimer(delayMs, task) {
      const handle = setImmediate(() => {
        now += delayMs;
        task();
      });
      return { cancel: () => clearImmediate(handle) };
    },
  };
}

/** A member that says one list after the other, the last for ever; 'nothing': it answers with an error. */
async function saying(...lists: readonly (readonly Member[] | 'nothing')[]): Promise<string> {
  let asked = 0;
  const server = createServer((_request, response) => {
    const list = lists[Math.min(asked++, lists.length - 1)];
    response.setHeader('X-Etcd-Cluster-ID', 'abc').setHeader('Connection', 'close');
    if (list === 'nothing') response.writeHead(500).end();
    else response.end(JSON.stringify(list.map(memberJson)));
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const member = (id: bigint, name: string): Member => ({
  id,
  name,
  peerUrls: [`http://${name || 'new'}:2380`],
  isLearner: false,
  clientUrls: [],
});
const [a, b] = [member(1n, 'a'), member(2n, 'b')];
/** The one that was removed, and the one that comes in its place, with its URLs. */
const before = [a, b, { ...member(3n, 'c') }];
const now = [a, b, { ...member(4n, 'c'), name: '' }];
const local = new Map([a, b, member(4n, 'c')].map(({ name, peerUrls }) => [name, peerUrls]));

test.each<[string, (readonly Member[] | 'nothing')[][], bigint | undefined]>([
  ['all agree', [[now], [now]], 4n],
  ['the first lags behind', [[before, before, now], [now]], 4n],
  ['another lags behind', [[now], [before, now]], 4n],
  ['one does not answer', [['nothing'], [now]], 4n],
  ['one lags for ever, and most do not', [[before], [now], [now]], 4n],
  ['one that lags answers late', [['nothing', before, now], [before, now], [now]], 4n],
  ['nobody answers', [['nothing'], ['nothing']], undefined],
])('the id of one that joins: %s', async (_name, members, want) => {
  const urls = await Promise.all(members.map((lists) => saying(...lists)));
  const cluster = await agreedCluster(urls, agent, 2_000, quickClock());
  expect(cluster && joiningId(cluster, local, 'c')).toBe(want);
});
