/** The program behind `etcd gateway` and `etcd grpc-proxy`: hands the process over, and ends as it was asked to. */
import { runProxy } from './commands.ts';
import type { ProxyIo } from './io.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

class ProcessIo implements ProxyIo {
  readonly env = process.env;
  /** The signal that asked to stop, if one did. */
  stoppedBy: NodeJS.Signals | undefined = undefined;

  out(text: string): void {
    process.stdout.write(text);
  }
  err(text: string): void {
    process.stderr.write(text);
  }
  onStop(task: (signal: NodeJS.Signals) => void): () => void {
    const listener = (signal: NodeJS.Signals): void => {
      this.stoppedBy = signal;
      task(signal);
    };
    for (const signal of STOP_SIGNALS) process.on(signal, listener);
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, listener);
    };
  }
}

function end(code: number, stoppedBy: NodeJS.Signals | undefined): void {
  // By the signal itself, as etcd ends: whoever waits sees that it was asked to go. Process 1 cannot end so.
  if (stoppedBy === undefined || process.pid === 1) process.exit(code);
  process.removeAllListeners(stoppedBy);
  process.kill(process.pid, stoppedBy);
}

const io = new ProcessIo();
const code = await runProxy(process.argv.slice(2), io);
// What was written must be out before the process goes.
process.stdout.write('', () => process.stderr.write('', () => end(code, io.stoppedBy)));
