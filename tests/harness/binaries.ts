/**
 * Where the programs under test are: our own executable, and a real etcd with its etcdctl as the oracle.
 * Environment variables name others. It finds files and never installs anything.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Keelson's server: `KEELSON_ETCD` or bin/etcd. It runs what was built: build first (`pnpm build`). */
export const KEELSON_ETCD = process.env['KEELSON_ETCD'] ?? path.join(ROOT, 'bin', 'etcd');

/** Flags that our server gets in every test, as `KEELSON_FLAGS`: `--rpc-transport=grpc-js`, for one. */
export const KEELSON_FLAGS: readonly string[] = (process.env['KEELSON_FLAGS'] ?? '')
  .split(' ')
  .filter((flag) => flag !== '');

/** A real etcd, the oracle: `REFERENCE_ETCD` or the one on the PATH. Undefined when there is none. */
export const REFERENCE_ETCD = process.env['REFERENCE_ETCD'] ?? onPath('etcd');

/** Stock etcdctl: `ETCDCTL` or the one on the PATH. Undefined when there is none. */
export const ETCDCTL = process.env['ETCDCTL'] ?? onPath('etcdctl');

/** Why tests that start our server cannot run here; undefined when they can. */
export function missingServer(): string | undefined {
  if (!existsSync(KEELSON_ETCD)) return `${KEELSON_ETCD} does not exist`;
  const built = path.join(ROOT, 'packages', 'store', 'dist', 'main.js');
  if (process.env['KEELSON_ETCD'] === undefined && !existsSync(built)) return 'the store is not built';
  return undefined;
}

function onPath(name: string): string | undefined {
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(directory, name);
    if (directory !== '' && existsSync(file)) return file;
  }
  return undefined;
}
