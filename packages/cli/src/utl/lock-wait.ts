/**
 * etcdutl's --timeout: a database that another process has open is waited for, so that a tool may be started while
 * a member stops. It asks again every tenth of a second and changes nothing else of the world it is put around.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OfflineWorld } from '@keelson/store';
import { errorCode } from '../plain.ts';

const PAUSE_MS = 100;

/** @param timeoutMs 0: without end */
export function waitingForLocks(world: OfflineWorld, timeoutMs: number): OfflineWorld {
  const endMs = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
  const late = (): boolean => performance.now() >= endMs;
  return {
    ...world,
    isLocked: async (path) => {
      while (await world.isLocked(path)) {
        if (late()) return true;
        await sleep(PAUSE_MS);
      }
      return false;
    },
    homeAt: (directory) => {
      const home = world.homeAt(directory);
      return {
        open: async () => {
          for (;;) {
            try {
              return await home.open();
            } catch (error) {
              if (errorCode(error) !== 'LOCKED' || late()) throw error;
            }
            await sleep(PAUSE_MS);
          }
        },
        openIncoming: () => home.openIncoming(),
        syncNames: (backend) => home.syncNames(backend),
        adopt: (incoming) => home.adopt(incoming),
        discard: (backend) => home.discard(backend),
      };
    },
  };
}
