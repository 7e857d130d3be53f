/** What the --kubelet-… flags make of calls to kubelets. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { expect, test } from '@jest/globals';
import type { Clock } from '@keelson/base';

import { bareRequest } from '../../test/bare-request.ts';
import type { ResourceCall } from '../registry/resource.ts';
import { BackendCaller } from '../outbound/backend-caller.ts';
import { makeNodeConnector } from './node-connector.ts';

/** Time is up at once for those who wait as long as this, and never for others. */
function clockOf(expiringMs: number): Pick<Clock, 'setTimer'> {
  return {
    setTimer: (delayMs, task) => {
      if (delayMs !== expiringMs) return { cancel: () => undefined };
      const soon = setImmediate(task);
      return { cancel: () => clearImmediate(soon) };
    },
  };
}

test.each([
  ['--kubelet-timeout', 5_000, 5_000],
  ["the caller's own limit where it is 0", 0, 30_000],
])('a kubelet that accepts and says nothing: %s', async (_name, dialMs, expiringMs) => {
  const silent = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  const { port } = silent.address() as AddressInfo;
  const clock = clockOf(expiringMs);
  const caller = new BackendCaller({ clock, lookup: () => Promise.resolve([]) });
  const connector = makeNodeConnector({
    config: {
      caFile: '',
      certFile: '',
      keyFile: '',
      port: 10_250,
      addressTypes: ['InternalIP'],
      dialMs,
      bytesPerSecond: 0,
    },
    caller,
    clock,
    readFile: () => '',
    authorizer: { authorize: () => Promise.resolve({ kind: 'allow', reason: '' }) },
  });
  const target = {
    scheme: 'https',
    host: '127.0.0.1',
    port: String(port),
    path: '/logs',
    query: '',
  } as const;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a log takes no more of a call
  const call = { request: bareRequest('/logs'), name: 'web' } as unknown as ResourceCall;
  const log = connector.connect({ kind: 'log', target, verified: true, follow: false }, call);
  await expect(log).rejects.toThrow(
    `Get "https://127.0.0.1:${port}/logs": dial tcp 127.0.0.1:${port}: i/o timeout`,
  );
  caller.close();
  silent.close();
  await once(silent, 'close');
});
