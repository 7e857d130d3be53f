/**
 * The one door to a file system, as an interface: node:fs in production (store/disk), a simulated
 * disk with faults in tests (sim). Paths are absolute and use '/'. Every method rejects with an
 * Error that carries node's `code` (ENOENT, ENOSPC, EIO, EEXIST …).
 */
export interface Disk {
  /** Opens a file. `create` makes it (mode 0600) and fails with EEXIST when it is there already. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>;
  /** The whole file; refuses files larger than `bytesMax` with code EFBIG before reading. */
  readFile(path: string, bytesMax: number): Promise<Buffer>;
  /** Replaces `path` atomically and durably: temporary file, fsync, rename, fsync of the directory. */
  writeFileAtomic(path: string, data: Uint8Array): Promise<void>;
  /** Atomic within one directory tree; durable only after syncDirectory of both parents. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Removes a directory and all below it; absent is fine. */
  removeAll(path: string): Promise<void>;
  /** Makes the directory and its parents, mode 0700; present is fine. */
  makeDirectory(path: string): Promise<void>;
  /** Names (not paths) in a directory, sorted by code unit. ENOENT when it is absent. */
  list(path: string): Promise<string[]>;
  exists(path: string): Promise<boolean>;
  /** Makes creations, renames and removals inside the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that can still be written on the file system of a path that is there; a disk that does not know lacks it. */
  freeBytes?(path: string): Promise<number>;
}

/** An open file. One owner; calls may not overlap unless stated. */
export interface DiskFile {
  readonly path: string;
  /** Writes all of `data` at `position` (short writes are looped). Not durable until sync. */
  write(position: number, data: Uint8Array): Promise<void>;
  /** Several buffers back to back at `position`, as one gathered write. */
  writev(position: number, buffers: readonly Uint8Array[]): Promise<void>;
  /** Reads up to `length` bytes at `position`; fewer only at end of file. */
  read(position: number, length: number): Promise<Buffer>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /** fdatasync: data and size durable. After a rejection the content's fate is unknown: never retry. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
