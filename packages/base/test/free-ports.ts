/**
 * Free loopback ports for servers that must know their port before they start. They are taken from below the
 * range the kernel gives to outgoing connections: a member that is down for a while would otherwise lose its
 * port to a client's connection, or a client that dials it would connect to itself.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LOWEST = 20_000;
const HIGHEST = 32_000;
/** A file for each port that was given out, with the process it belongs to as long as that one lives. */
const TAKEN = path.join(tmpdir(), `keelson-ports-${process.getuid?.() ?? 0}`);

/** @returns `count` different ports nobody listened on a moment ago, and nobody else is given before this process ends */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt > 1000) throw new Error(`no ${count} free ports in ${LOWEST}-${HIGHEST}`);
    const port = randomInt(LOWEST, HIGHEST);
    if (!found.has(port) && reserve(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Also among processes that look for ports at the same time: what is free now may be another's in a moment. */
function reserve(port: number): boolean {
  const file = path.join(TAKEN, String(port));
  mkdirSync(TAKEN, { recursive: true });
  for (const last of [false, true]) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return true;
    } catch {
      if (last || lives(file)) return false;
      rmSync(file, { force: true });
    }
  }
  return false;
}

/** Whether the process that a port was given to is still there. */
function lives(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return pid === 0 || process.kill(pid, 0);
  } catch {
    return false;
  }
}
