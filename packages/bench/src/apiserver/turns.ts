/** How long one turn of an API server's event loop works, by what it does. */
import path from 'node:path';
import { single, type Measured } from '../measured.ts';
import { ApiProcess } from './api-process.ts';
import type { ApiCluster } from './api-cluster.ts';

/** The longest turn of each, ms of the thread's CPU, without the collector's. */
export interface TurnFigures {
  readonly start: number;
  readonly discovery: number;
  readonly openApi2: number;
  readonly openApi3: number;
  readonly metrics: number;
  readonly create: number;
  readonly list: number;
  readonly table: number;
  readonly protobuf: number;
}

export async function measureTurns(
  home: string,
  cluster: ApiCluster,
  began: (process: ApiProcess) => void,
): Promise<Measured> {
  const beganMs = performance.now();
  const log = path.join(home, 'turns.log');
  const process = new ApiProcess({ name: 'turns', program: { own: 'turns' }, args: [], log });
  began(process);
  const figures = await process.told<TurnFigures>();
  await process.stop();
  return single(
    cluster,
    (performance.now() - beganMs) / 1000,
    Object.fromEntries(Object.entries(figures).map(([name, ms]: [string, number]) => [`${name}TurnMs`, ms])),
  );
}
