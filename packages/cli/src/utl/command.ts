/** What a command of etcdutl is, and what it is run with. */
import type { FlagSpec, FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';

export interface UtlContext {
  readonly io: Io;
  readonly flags: FlagValues;
  readonly args: readonly string[];
}

export interface UtlCommand {
  readonly path: readonly string[];
  /** How it is called, after its words. */
  readonly usage: string;
  readonly short: string;
  readonly flags: readonly FlagSpec[];
  /** Names of flags that must be given. */
  readonly required: readonly string[];
  readonly hidden?: boolean;
  /** @throws CtlError, FatalError, BboltError, an error of the system */
  run(context: UtlContext): Promise<void>;
}
