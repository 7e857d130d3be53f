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
export { failureOutcome } from './history/outcome.ts';
export { HistoryFormatError, HistoryReader, lineOf, linesOf, readHistory } from './history/json-lines.ts';
export {
  HistoryRecorder,
  type Asker,
  type PendingOperation,
  type RecorderOptions,
} from './history/recorder.ts';
export { recordedValue } from './history/recorded-value.ts';
export type * from './history/record.ts';
export type * from './history/request.ts';
export { checkHistory, type CheckOptions } from './checker/check-history.ts';
export { verdictText, type Law, type Verdict, type Violation } from './checker/verdict.ts';
