/**
 * The flooding tenant of robustness/fairness.ts, a program of its own: so that what it takes of a processor is not taken of
 * the one who measures. Keeps so many lists under way as it is told, as long as it is told, and says what became of them.
 *
 * Told by its parent: `{ url, credentials, user, path, count, accept }` to begin with, then `stop`; answers `{ listed,
 * refused, bytes }`.
 */
import { isRecord } from '@keelson/kube-client';
import type { AdminCredentials } from './apiserver-process.ts';
import { Tenant } from './tenant.ts';
import { pause } from './waiting.ts';

export interface FloodOrder {
  readonly url: string;
  readonly credentials: AdminCredentials;
  readonly user: string;
  readonly path: string;
  /** Lists under way at any time. */
  readonly count: number;
  readonly accept: string;
}

export interface FloodResult {
  readonly listed: number;
  readonly refused: number;
  readonly bytes: number;
}

/** Is no machine gun, although it does not mind Retry-After. */
const REFUSED_PAUSE_MS = 50;

function flood({ url, credentials, user, path, count, accept }: FloodOrder): () => Promise<FloodResult> {
  const tenant = new Tenant(url, credentials, user);
  let ended = false;
  let listed = 0;
  let refused = 0;
  let bytes = 0;
  const hasEnded = (): boolean => ended;
  const lists = async (): Promise<void> => {
    while (!hasEnded()) {
      const answer = await tenant.ask('GET', path, { accept });
      if (answer.code === 200) {
        listed += 1;
        bytes += answer.bytes;
      } else {
        refused += 1;
        await pause(REFUSED_PAUSE_MS);
      }
    }
  };
  const running = Promise.all(Array.from({ length: count }, lists));
  return async () => {
    ended = true;
    await running;
    tenant.close();
    return { listed, refused, bytes };
  };
}

if (import.meta.main) {
  let stop: (() => Promise<FloodResult>) | undefined;
  process.on('message', (message: unknown) => {
    if (isRecord(message)) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our parent, of the same file
      stop = flood(message as unknown as FloodOrder);
      return;
    }
    void stop?.().then((result) => {
      process.send?.(result);
      process.disconnect();
    });
  });
  process.on('disconnect', () => process.exit());
}
