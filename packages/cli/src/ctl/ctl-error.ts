/** How a command of `keelson ctl` ends when it does not succeed: etcdctl's exit codes, and the error that carries one. */
export const ExitCode = {
  Success: 0,
  Error: 1,
  BadConnection: 2,
  InvalidInput: 3,
  BadFeature: 4,
  Interrupted: 5,
  BadArgs: 128,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the command with "Error: message" and an exit code of its own. */
export class CtlError extends Error {
  override readonly name = 'CtlError';
  /** One of ExitCode, or what a command that was run ended with. */
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

export const badArgs = (message: string): CtlError => new CtlError(ExitCode.BadArgs, message);
