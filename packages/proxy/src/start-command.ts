/** What `start` of a proxy is to those who dispatch: its flags, and a run that lasts as long as the proxy. */
import type { FlagSpec, FlagValues } from './flags.ts';
import type { ProxyIo } from './io.ts';

export interface StartCommand {
  readonly flags: readonly FlagSpec[];
  /**
   * @param argv the whole command line behind `etcd`, for the log
   * @returns the exit code, once the proxy has ended
   */
  run(values: FlagValues, io: ProxyIo, argv: readonly string[]): Promise<number>;
}
