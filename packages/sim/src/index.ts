export {
  MemoryDisk,
  SECTOR_BYTES,
  type DiskOperation,
  type DiskOperationKind,
  type MemoryDiskOptions,
} from './disk.ts';
export { TraceHash } from './trace.ts';
export { Scheduler } from './scheduler.ts';
export {
  NETWORK_FAULTS,
  Network,
  type Address,
  type NetworkConstants,
  type NetworkFault,
  type NetworkWorld,
} from './network.ts';
export { edgy, swarm } from './swarm.ts';
export {
  failureOf,
  law,
  LawBroken,
  type Failure,
  type Outcome,
  type Plan,
  type Simulation,
} from './simulation.ts';
export { Tally, type TallyData } from './tally.ts';
export { commandOf, shrink, type Shrunk } from './shrink.ts';
export { missed, RERUN_EVERY, runPlan, summary } from './campaign.ts';
export { campaign } from './host.ts';
