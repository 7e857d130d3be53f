/**
 * The client beside an attack, in a thread of its own (beside-thread.ts), so that what it waits for is the member and not
 * the attackers' work. Here is the attack's end of it: begin, stop, and what it was served.
 */
import { Worker } from 'node:worker_threads';
import type { ClusterTls } from '../harness/certificates.ts';
import type { Served, Task } from './beside-thread.ts';

/** In the process of the attack: begins at once, ends with stop(). */
export class Beside {
  private readonly worker: Worker;
  private readonly served: Promise<Served>;

  constructor(address: string, tls: ClusterTls | undefined) {
    const files =
      tls === undefined
        ? undefined
        : { caFile: tls.caFile, clientCertFile: tls.clientCertFile, clientKeyFile: tls.clientKeyFile };
    const task: Task = { beside: address, tls: files };
    this.worker = new Worker(new URL('./beside-thread.ts', import.meta.url), { workerData: task });
    this.served = new Promise((resolve, reject) => {
      this.worker.once('message', resolve);
      this.worker.once('error', reject);
    });
    // Awaited in stop(), which may come much later.
    this.served.catch(() => {});
  }

  async stop(): Promise<Served> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
    this.worker.postMessage('stop');
    const served = await this.served;
    await this.worker.terminate();
    return served;
  }
}
