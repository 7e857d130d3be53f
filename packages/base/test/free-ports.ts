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
const HIGHEST = 30_000;
const ATTEMPTS = 1_000;
/** A file for each port that was given out, with the process it belongs to as long as that one lives. */
const TAKEN = path.join(tmpdir(), `keelson-ports-${process.getuid?.() ?? 0}`);

/** @returns `count` different ports nobody listened on a moment ago, and nobody else is given before this process ends */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) found.add(await freePort());
  return [...found];
}

/** @returns one that is free as those are, together with those that stand so far behind it; default none */
export async function freePort(...behind: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await areFree([port, ...behind.map((distance) => port + distance)])) return port;
  }
  throw new Error(`no free ports in ${LOWEST}-${HIGHEST}`);
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    if (!reserve(port) || !(await isFree(port)) || ownerOf(port) !== process.pid) return false;
  }
  return true;
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
  mkdirSync(TAKEN, { recursive: true });
  for (const last of [false, true]) {
    try {
      writeFileSync(fileOf(port), String(process.pid), { flag: 'wx' });
      return true;
    } catch {
      if (last || lives(ownerOf(port))) return false;
      rmSync(fileOf(port), { force: true });
    }
  }
  return false;
}

const fileOf = (port: number): string => path.join(TAKEN, String(port));

/** Asked once more behind the look at the port: two that find a dead one's file at once may both have replaced it. */
function ownerOf(port: number): number | undefined {
  try {
    return Number(readFileSync(fileOf(port), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether the process that a port was given to is still there; it may be about to write who it is. */
function lives(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    return pid === 0 || process.kill(pid, 0);
  } catch {
    return false;
  }
}
