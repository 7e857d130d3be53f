export * from './types.ts';
export { type LogStorage, StorageError } from './log-storage.ts';
export {
  type RandomSource,
  type RaftConfig,
  RaftConfigError,
  type RaftLogger,
  type RaftLogLevel,
  ReadOnlyOption,
} from './config.ts';
export { MemoryStorage } from './memory-storage.ts';
export { entriesSize, entrySize } from './entry-size.ts';
export {
  decodeConfChange,
  decodeConfChangeEntry,
  decodeConfChangeV2,
  encodeConfChange,
  encodeConfChangeV2,
} from './conf-change-codec.ts';
export { asV2 } from './conf-change.ts';
export type { Configuration } from './tracker.ts';
export type { AppendWork, ApplyWork, Ready } from './ready.ts';
export { committedIndex } from './quorum.ts';
export { RawNode, type StepResult } from './raw-node.ts';
export type { BasicStatus, PeerStatus, Status } from './status.ts';
export {
  appendWorkMessage,
  applyWorkMessage,
  type DataFormat,
  describeConfState,
  describeEntry,
  describeMessage,
  describeReady,
  messageTypeName,
  roleName,
} from './describe.ts';
