/**
 * Listening at a path instead of a port. A member that was killed leaves its socket behind, and the next one could not
 * listen there: a socket that nobody answers at is taken away first. One that is answered at is another process's, and a
 * file that is no socket is somebody's data: both stay, and the start fails. (etcd: transport/unix_listener.go, which
 * removes whatever is there.) Node takes the socket away when the server closes.
 */
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { errorCodeOf } from './error-code.ts';

/** @throws node's listen errors, of 'EADDRINUSE' for a path that is taken */
export async function listenAt(server: Server, path: string): Promise<void> {
  try {
    await listening(server, path);
  } catch (error) {
    if (errorCodeOf(error) !== 'EADDRINUSE' || !(await isAbandoned(path))) throw error;
    await unlink(path);
    await listening(server, path);
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function isAbandoned(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(errorCodeOf(error) === 'ECONNREFUSED'));
  });
}
