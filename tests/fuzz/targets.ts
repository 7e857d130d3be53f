/** Every fuzz target of the repository, by name. */
import type { FuzzTarget } from '../../packages/base/test/fuzz/target.ts';
import { protoTargets } from '../../proto/test/fuzz/targets.ts';
import { rpcTargets } from '../../packages/rpc/test/fuzz/targets.ts';
import { walTargets } from '../../packages/store/test/fuzz/wal-targets.ts';
import { fileTargets } from '../../packages/store/test/fuzz/file-targets.ts';
import { textTargets } from '../../packages/store/test/fuzz/text-targets.ts';
import { peerTargets } from '../../packages/store/test/fuzz/peer-targets.ts';

export const targets: readonly FuzzTarget[] = [
  ...protoTargets,
  ...rpcTargets,
  ...walTargets,
  ...fileTargets,
  ...textTargets,
  ...peerTargets,
];
