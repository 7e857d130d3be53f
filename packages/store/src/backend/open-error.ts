/** Why a backend cannot be opened. Its own file: who hears of it need not load LevelDB. */
import { FatalError } from '../errors.ts';

/** Why a backend does not open. */
export class BackendOpenError extends FatalError {
  /** LOCKED: another process holds the data directory. DAMAGED: LevelDB, or what reads a snapshot's database, refuses what is there. */
  readonly code: 'LOCKED' | 'DAMAGED';

  constructor(code: 'LOCKED' | 'DAMAGED', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
