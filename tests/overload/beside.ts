/**
 * The client beside an attack: puts and linearizable reads, one after the other, on a connection of its own and in a
 * thread of its own, so that what it waits for is the member and not the attackers' work.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { KeyPairFiles, readAuthorities } from '@keelson/rpc';
import type { ClusterTls } from '../harness/certificates.ts';
import { MemberApi } from '../harness/member-api.ts';

/** Between two calls. */
const PAUSE_MS = 20;
const CALL_MS = 170_000;
const PUT_OFF: ReadonlySet<string> = new Set([
  'etcdserver: too many requests',
  'etcdserver: request timed out',
]);
/** What is told of failures: the first are enough. */
const FAILURES_MAX = 5;

type Files = Pick<ClusterTls, 'caFile' | 'clientCertFile' | 'clientKeyFile'>;

interface Task {
  readonly beside: string;
  readonly tls: Files | undefined;
}

export interface Served {
  readonly latenciesMs: readonly number[];
  /** Calls that got etcd's answers of a member that has too much to do: they are told, and no verdict. */
  readonly putOff: number;
  /** Texts of what was refused otherwise. */
  readonly failures: readonly string[];
}

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
    this.worker = new Worker(new URL('./beside.ts', import.meta.url), { workerData: task });
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

async function serve({ beside, tls }: Task): Promise<void> {
  const dial = tls === undefined ? undefined : dialWith(tls);
  const api = new MemberApi(beside, dial);
  const latenciesMs: number[] = [];
  const failures: string[] = [];
  let putOff = 0;
  let running = true;
  parentPort?.once('message', () => {
    running = false;
  });
  // One of each at least, also where the attack is over at once.
  for (let i = 0; running || i < 2; i++) {
    const startedMs = performance.now();
    try {
      if (i % 2 === 0) await api.put('beside', String(i), CALL_MS);
      else await api.range({ key: Buffer.from('beside') }, CALL_MS);
      latenciesMs.push(performance.now() - startedMs);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (PUT_OFF.has(text)) putOff++;
      else if (failures.length < FAILURES_MAX) failures.push(text);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  api.close();
  const served: Served = { latenciesMs, putOff, failures };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort?.postMessage(served);
}

function dialWith({
  caFile,
  clientCertFile,
  clientKeyFile,
}: Files): NonNullable<ConstructorParameters<typeof MemberApi>[1]> {
  const ca = readAuthorities(caFile);
  const pair = new KeyPairFiles(clientCertFile, clientKeyFile);
  return () => ({ ca, ...pair.read() });
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what Beside gave it
if (!isMainThread && (workerData as Partial<Task> | null)?.beside !== undefined)
  await serve(workerData as Task);
