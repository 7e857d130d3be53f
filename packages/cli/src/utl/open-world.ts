/** The store and the machine's files for a command of etcdutl, loaded when it runs. */
import type * as Store from '@keelson/store';
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { consoleLogger } from './console-logger.ts';
import type { UtlContext } from './command.ts';
import { waitingForLocks } from './lock-wait.ts';

export interface OpenWorld {
  readonly store: typeof Store;
  readonly world: Store.OfflineWorld;
}

/**
 * @param caller where etcdutl's log lines would come from
 * @param path what must be there
 * @throws CtlError in the words of Go's stat
 */
export async function openWorld(
  { io, flags }: UtlContext,
  caller: string,
  path?: string,
): Promise<OpenWorld> {
  const store = await import('@keelson/store');
  const world = waitingForLocks(store.offlineWorld(consoleLogger(io, caller)), flags.durationMs('timeout'));
  if (path !== undefined && !(await world.disk.exists(path)))
    throw new CtlError(ExitCode.Error, `stat ${path}: no such file or directory`);
  return { store, world };
}
