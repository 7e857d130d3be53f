/**
 * Syncs of a running member that are slow, or that fail: `strace` is attached to the process and changes what its
 * fdatasync does, until it is detached. The member itself is not restarted, and knows nothing.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Why syncs cannot be tampered with here; undefined when they can. */
export function straceMissing(): string | undefined {
  const { error } = spawnSync('strace', ['-V']);
  return error === undefined ? undefined : 'there is no strace';
}

/** `delayMs`: each sync takes so much longer. `failFrom`: EIO from the n-th sync on, counted from 1, by thread. */
export type SyncFault = { readonly delayMs: number } | { readonly failFrom: number };

export class TamperedSyncs {
  private readonly tracer: ChildProcess;
  private readonly ended: Promise<unknown>;

  private constructor(tracer: ChildProcess) {
    this.tracer = tracer;
    this.ended = once(tracer, 'exit');
  }

  /** Resolves when it is attached to every thread. @throws Error when it cannot be */
  static async of(pid: number, fault: SyncFault): Promise<TamperedSyncs> {
    const inject =
      'delayMs' in fault ? `delay_enter=${fault.delayMs * 1000}` : `error=EIO:when=${fault.failFrom}+`;
    const tracer = spawn(
      'strace',
      [
        '-f',
        '-o',
        '/dev/null',
        '-e',
        'trace=fdatasync,fsync',
        '-e',
        `inject=fdatasync,fsync:${inject}`,
        '-p',
        `${pid}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const tampered = new TamperedSyncs(tracer);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      tracer.stderr?.on('data', (bytes: Buffer) => {
        said += bytes.toString();
        if (said.includes('attached')) resolve();
      });
      tracer.once('error', reject);
      tracer.once('exit', () => reject(new Error(`strace ended: ${said.trim()}`)));
    });
    return tampered;
  }

  /** Lets the process go on by itself. Resolves when strace has ended, whether or not the process lives. */
  async detach(): Promise<void> {
    this.tracer.kill('SIGTERM');
    await this.ended;
  }

  /** For the end of this process: nobody waits. */
  abandon(): void {
    this.tracer.kill('SIGKILL');
  }
}
