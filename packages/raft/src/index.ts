export * from './types.ts';
export { type LogStorage, StorageError } from './log-storage.ts';
