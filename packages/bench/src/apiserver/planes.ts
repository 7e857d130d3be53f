/** Control planes side by side in one process: what each takes to start and to keep, and what is left of them. */
import path from 'node:path';
import { median } from '../compare.ts';
import { single, type Measured } from '../measured.ts';
import { ApiProcess } from './api-process.ts';
import type { ApiCluster } from './api-cluster.ts';

/** Of the promise. */
export const PLANES = 20;

/** After a start; the first is of none. */
export interface PlaneFigures {
  readonly readyMs: number;
  /** Of the process while it started: with what those before it do meanwhile. */
  readonly cpuMs: number;
  /** Heap and buffers after a collection. */
  readonly heldMb: number;
  readonly residentMb: number;
}

export interface PlanesLeft {
  readonly stopMs: number;
  /** Timers, sockets and the like that keep a process alive. */
  readonly resources: number;
  readonly heldMb: number;
  readonly residentMb: number;
}

export async function measurePlanes(
  home: string,
  cluster: ApiCluster,
  began: (process: ApiProcess) => void,
): Promise<Measured> {
  const beganMs = performance.now();
  const log = path.join(home, 'planes.log');
  const process = new ApiProcess({ name: 'planes', program: { own: 'planes' }, args: [String(PLANES)], log });
  began(process);
  const none = await process.told<PlaneFigures>();
  const each: PlaneFigures[] = [];
  while (each.length < PLANES) each.push(await process.told<PlaneFigures>());
  const left = await process.told<PlanesLeft>();
  await process.stop();
  const last = each[each.length - 1];
  return single(cluster, (performance.now() - beganMs) / 1000, {
    planes: each.length,
    planeFirstReadyMs: each[0].readyMs,
    planeReadyMs: median(each.map(({ readyMs }) => readyMs)),
    planeCpuMs: median(each.map(({ cpuMs }) => cpuMs)),
    planeHeldMb: (last.heldMb - none.heldMb) / each.length,
    planeResidentMb: (last.residentMb - none.residentMb) / each.length,
    planesResidentMb: last.residentMb,
    planesStopMs: left.stopMs,
    planesLeftMb: left.heldMb - none.heldMb,
    planesLeftResources: left.resources,
  });
}
