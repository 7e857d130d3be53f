/**
 * Several control planes inside one process: each started, timed and weighed before the next, then all of them stopped.
 * Tells its parent of each, and at last what was left.
 *
 *   node planes.js COUNT
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startControlPlane, type ControlPlane } from '@keelson/embed';
import type { PlaneFigures, PlanesLeft } from '../planes.ts';

/** So that what a start leaves to be done is done when memory is looked at. */
const SETTLE_MS = 500;
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

async function weigh(): Promise<{ heldMb: number; residentMb: number }> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  if (typeof collect === 'function') {
    collect();
    collect();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heldMb: (heapUsed + external) / MIB, residentMb: rss / MIB };
}

function tell(figures: PlaneFigures | PlanesLeft): void {
  process.send?.(figures);
}

async function run(count: number): Promise<void> {
  const before = process.getActiveResourcesInfo().length;
  tell({ readyMs: 0, cpuMs: 0, ...(await weigh()) });
  const planes: ControlPlane[] = [];
  while (planes.length < count) {
    const beganMs = performance.now();
    const cpu = process.cpuUsage();
    planes.push(await startControlPlane());
    const readyMs = performance.now() - beganMs;
    const { user, system } = process.cpuUsage(cpu);
    tell({ readyMs, cpuMs: (user + system) / 1000, ...(await weigh()) });
  }
  const beganMs = performance.now();
  await Promise.all(planes.splice(0).map((plane) => plane.stop()));
  const stopMs = performance.now() - beganMs;
  const left = await weigh();
  tell({ stopMs, resources: process.getActiveResourcesInfo().length - before, ...left });
}

await run(Number(process.argv[2]));
process.disconnect?.();
