/** How nodes are reached, made of the --kubelet-… flags: whom the server trusts there, and how it shows itself. */

import type { Clock } from '@keelson/base';

import type { Authorizer } from '../api/user-info.ts';
import { NodeConnector } from '../kubelet/node-connector.ts';
import type { KubeletConfig } from '../options/config.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';

export interface NodeConnectorParts {
  readonly config: KubeletConfig;
  readonly caller: BackendCaller;
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly readFile: (path: string) => string;
  readonly authorizer: Authorizer;
}

/** @throws Error for a file that cannot be read */
export function makeNodeConnector(parts: NodeConnectorParts): NodeConnector {
  const { config, caller, clock, readFile, authorizer } = parts;
  const { caFile, certFile, keyFile, port, addressTypes, dialMs, bytesPerSecond } = config;
  return new NodeConnector({
    caller,
    clock,
    authorizer,
    kubelets: {
      addressTypes,
      port,
      // 0 is no limit of its own, as in the original.
      ...(dialMs > 0 ? { dialMs } : {}),
      ...(bytesPerSecond > 0 ? { bytesPerSecond } : {}),
      authority: caFile === '' ? '' : readFile(caFile),
      ...(certFile === '' ? {} : { pair: { cert: readFile(certFile), key: readFile(keyFile) } }),
    },
  });
}
