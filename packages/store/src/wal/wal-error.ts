/** Why a WAL cannot be opened, read or written: always named with its file, and its offset where there is one. */
import { FatalError } from '../errors.ts';

export type WalErrorCode =
  /** Bytes that were once durable are not what was written; never repaired by cutting. */
  | 'CORRUPT'
  /** No segment that could hold the asked position. */
  | 'NOT_FOUND'
  /** The directory has a WAL already. */
  | 'EXISTS'
  /** No marker of the snapshot to start from. */
  | 'SNAPSHOT_NOT_FOUND'
  /** The marker of that index has another term. */
  | 'SNAPSHOT_MISMATCH'
  /** A write or sync failed: what is on disk is unknown, every later call fails with this. */
  | 'FAILED'
  | 'CLOSED';

export class WalError extends FatalError {
  readonly code: WalErrorCode;

  constructor(code: WalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A CORRUPT error that names the place. */
export function corrupt(file: string, offset: number, reason: string): WalError {
  return new WalError('CORRUPT', `wal: ${file} is damaged at offset ${offset}: ${reason}`);
}
