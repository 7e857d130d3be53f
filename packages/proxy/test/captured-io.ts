/** A ProxyIo whose output is kept, with the signal that a test sends. */
import type { ProxyIo } from '../src/io.ts';

export class CapturedIo implements ProxyIo {
  readonly env = {};
  outText = '';
  errText = '';
  private readonly stops = new Set<(signal: NodeJS.Signals) => void>();
  private waiting: (() => void)[] = [];

  out(text: string): void {
    this.outText += text;
    this.wake();
  }
  err(text: string): void {
    this.errText += text;
    this.wake();
  }
  onStop(task: (signal: NodeJS.Signals) => void): () => void {
    this.stops.add(task);
    this.wake();
    return () => this.stops.delete(task);
  }

  /** Once somebody listens. */
  async stop(): Promise<void> {
    while (this.stops.size === 0) await this.something();
    for (const task of [...this.stops]) task('SIGTERM');
  }

  /** The first log line with this text, once it is there. */
  async line(part: string): Promise<string> {
    for (;;) {
      const lines = this.errText.split('\n').slice(0, -1);
      const found = lines.find((line) => line.includes(part));
      if (found !== undefined) return found;
      await this.something();
    }
  }

  private something(): Promise<void> {
    return new Promise((resolve) => void this.waiting.push(resolve));
  }
  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
