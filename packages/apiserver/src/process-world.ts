/** What a server takes from the process it lives in: files, dice, the network by which issuers of tokens are asked. */

import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { readFileSync, rmSync } from 'node:fs';

import { toError, type Clock } from '@keelson/base';

import type { KubeApiServerOptions } from './kube-apiserver.ts';
import { OidcProvider } from './assembly/oidc-provider.ts';

export type ProcessWorld = Pick<
  KubeApiServerOptions,
  'uuid' | 'random' | 'lookup' | 'runProgram' | 'readFile' | 'removeFile' | 'issuerKeys'
>;

export function processWorld(clock: Clock): ProcessWorld {
  return {
    uuid: randomUUID,
    random: (limit) => randomInt(limit),
    lookup: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    runProgram,
    readFile,
    removeFile: (path) => rmSync(path, { force: true }),
    issuerKeys: (source) => {
      const fetchJson = async (url: string, trusted: string | undefined): Promise<unknown> =>
        (await import('./assembly/fetch-json.ts')).fetchJson(url, trusted);
      const provider = new OidcProvider(source, fetchJson, clock);
      return (refresh) => provider.current(refresh);
    },
  };
}

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

/** A program that hangs, or prints without end, is ended. */
const PROGRAM_MS = 60_000;
const PRINTED_MAX = 1024 * 1024;

/** Runs a program that makes credentials: nothing to read, and what it complains of goes where our own complaints go. */
export const runProgram: KubeApiServerOptions['runProgram'] = (command, args, env) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const printed: Buffer[] = [];
    let size = 0;
    // What it started itself may go on and hold the other end of the pipe: nobody reads on.
    const end = (): void => {
      child.kill('SIGKILL');
      child.stdout.destroy();
    };
    const late = setTimeout(end, PROGRAM_MS);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > PRINTED_MAX) end();
      else printed.push(chunk);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(late);
      resolve(error.code === 'ENOENT' ? { kind: 'missing' } : { kind: 'failed', why: error.message });
    });
    child.on('close', (code, signal) => {
      clearTimeout(late);
      const stdout = Buffer.concat(printed).toString('utf8');
      if (code === null) resolve({ kind: 'failed', why: `signal: ${signal ?? 'unknown'}` });
      else resolve({ kind: 'ended', code, stdout });
    });
  });

/** A file's text. @throws Error with Go's words for what is wrong with the file */
export function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
    throw new Error(`open ${path}: ${TEXTS[code] ?? toError(error).message}`, { cause: error });
  }
}
