/**
 * snapshot save: one member's backend into a file that etcdutl and etcd read. Written beside its name, synced
 * and renamed once it is whole, so that a file of that name is always a snapshot.
 */
import { createHash } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { EtcdError, type Client } from '@keelson/client';
import { formatDurationMs, formatSize } from '../../go-text.ts';
import { errorCode, errorMessage } from '../../plain.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';
import { logLine } from '../log-line.ts';
import { errorText } from './lease.ts';

/** Length of the SHA-256 that ends a snapshot; what it covers is in sectors of this many bytes. */
const DIGEST_BYTES = 32;
const SECTOR_BYTES = 512;

const failed = (message: string, cause?: unknown): CtlError =>
  new CtlError(ExitCode.Interrupted, message, cause);

export const snapshotSave: Command = {
  path: ['snapshot', 'save'],
  usage: '<filename>',
  short: 'Stores an etcd node backend snapshot to a given file',
  stops: true,
  flags: [],
  async run(context) {
    const { args, endpoints, io } = context;
    const [name] = args;
    if (name === undefined || args.length !== 1) throw badArgs('snapshot save expects one argument');
    const partial = `${name}.part`;
    const file = await opened(partial);
    try {
      logLine(io, 'info', 'created temporary db file', { path: partial });
      const [endpoint, ...others] = endpoints;
      if (endpoint === undefined || others.length > 0) {
        throw failed(
          `snapshot must be requested to one selected node, not multiple [${endpoints.join(' ')}]`,
        );
      }
      const version = await fetched(context, context.client(), endpoint, file);
      await renamed(partial, name);
      logLine(io, 'info', 'saved', { path: name });
      io.out(`Snapshot saved at ${name}\n`);
      if (version !== '') io.out(`Server version ${version}\n`);
      return ExitCode.Success;
    } finally {
      await file.close();
      await rm(partial, { force: true });
    }
  },
};

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w', 0o600);
  } catch (error) {
    throw failed(`could not open ${path} (open ${path}: ${systemText(error)})`);
  }
}

async function renamed(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    throw failed(`could not rename ${from} to ${to} (rename ${from} ${to}: ${systemText(error)})`);
  }
}

/** The stream into the file, checked and synced. @returns the server's version, '' from one before 3.6 */
async function fetched(
  { io, flags, timeoutMs, stopping }: CommandContext,
  client: Client,
  endpoint: string,
  file: FileHandle,
): Promise<string> {
  const startMs = performance.now();
  // A large database takes its time: there is a limit only if one was asked for.
  const signals = flags.changed('command-timeout') ? [stopping, AbortSignal.timeout(timeoutMs)] : [stopping];
  const digest = createHash('sha256');
  let tail = Buffer.alloc(0);
  let size = 0;
  let version = '';
  logLine(io, 'info', 'fetching snapshot', { endpoint });
  try {
    for await (const part of client.maintenance.snapshot({ signal: AbortSignal.any(signals) })) {
      if (part.version !== '') version = part.version;
      await file.appendFile(part.blob);
      size += part.blob.length;
      // The last bytes are not covered by the digest, they are it.
      const bytes = Buffer.concat([tail, part.blob]);
      const covered = Math.max(0, bytes.length - DIGEST_BYTES);
      digest.update(bytes.subarray(0, covered));
      tail = bytes.subarray(covered);
    }
  } catch (error) {
    if (stopping.aborted) throw failed('');
    if (error instanceof EtcdError) {
      const late = signals.some(({ reason }) => reason instanceof Error && reason.name === 'TimeoutError');
      throw failed(late ? 'context deadline exceeded' : errorText(error));
    }
    throw failed(errorMessage(error), error);
  }
  if (size % SECTOR_BYTES !== DIGEST_BYTES) throw failed(`sha256 checksum not found [bytes: ${size}]`);
  if (!digest.digest().equals(tail)) throw failed(`sha256 checksum differs [bytes: ${size}]`);
  await file.sync();
  logLine(io, 'info', 'fetched snapshot', {
    endpoint,
    size: formatSize(size),
    took: formatDurationMs(performance.now() - startMs),
    'etcd-version': version,
  });
  return version;
}

const SYSTEM_TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EEXIST: 'file exists',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
};

/** As the system's C library, and so Go, says it. */
function systemText(error: unknown): string {
  const code = errorCode(error);
  return (code === undefined ? undefined : SYSTEM_TEXTS[code]) ?? errorMessage(error);
}
