export {
  MemoryDisk,
  SECTOR_BYTES,
  type DiskOperation,
  type DiskOperationKind,
  type MemoryDiskOptions,
} from './disk.ts';
