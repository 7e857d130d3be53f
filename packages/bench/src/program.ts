/** Where the programs to measure are, and what to do when one is not there. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** The program of a side. @throws RangeError with what to do when it is not there */
export function programOf(
  side: 'keelson' | 'etcd',
  env: Readonly<Record<string, string | undefined>>,
): string {
  const name = side === 'keelson' ? 'KEELSON_ETCD' : 'REFERENCE_ETCD';
  const named = env[name];
  if (named !== undefined) {
    if (!existsSync(named)) throw new RangeError(`${name} names ${named}, which is not there`);
    return named;
  }
  if (side === 'keelson') {
    if (!existsSync(path.join(ROOT, 'packages', 'store', 'dist', 'main.js'))) {
      throw new RangeError(`Keelson is not built: run 'node scripts/bootstrap.mjs ensure' in ${ROOT}`);
    }
    return path.join(ROOT, 'bin', 'etcd');
  }
  for (const directory of (env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(directory, 'etcd');
    if (directory !== '' && path.dirname(file) !== path.join(ROOT, 'bin') && existsSync(file)) return file;
  }
  throw new RangeError(
    "no etcd on the PATH to compare with: 'apt-get install etcd-server' (Debian), or name a binary in REFERENCE_ETCD",
  );
}
