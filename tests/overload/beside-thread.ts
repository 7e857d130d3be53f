/**
 * The thread of the client beside (beside.ts): puts and linearizable reads, one after the other, on a connection of its
 * own, until it is told to stop; then it tells what it was served. It judges nothing.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { KeyPairFiles, readAuthorities } from '@keelson/rpc';
import { MemberApi } from '../harness/member-api.ts';
import type { ClusterTls } from '../harness/certificates.ts';

type Files = Pick<ClusterTls, 'caFile' | 'clientCertFile' | 'clientKeyFile'>;

/** What the thread is to do. */
export interface Task {
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

/** Between two calls. */
const PAUSE_MS = 20;
const CALL_MS = 170_000;
const PUT_OFF: ReadonlySet<string> = new Set([
  'etcdserver: too many requests',
  'etcdserver: request timed out',
]);
/** What is told of failures: the first are enough. */
const FAILURES_MAX = 5;

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
await serve(workerData as Task);
