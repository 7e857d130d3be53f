/** API servers for kubectl to talk to: one in this process over our own store, and one as a process over a real etcd. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startControlPlane } from '@keelson/embed';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { REFERENCE_ETCD } from '../harness/binaries.ts';
import { HopelessError, waitUntil } from '../harness/waiting.ts';

export interface ApiTarget {
  /** A file's text, of an administrator. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const START_MS = 120_000;

export async function startEmbedded(): Promise<ApiTarget> {
  const plane = await startControlPlane({ readyTimeoutMs: START_MS });
  return { kubeconfig: JSON.stringify(plane.kubeConfig()), stop: () => plane.stop() };
}

/** Why the server cannot be started as a process; undefined when it can. */
export function apiserverMissing(): string | undefined {
  return existsSync(path.join(ROOT, 'packages', 'cli', 'dist', 'main.js'))
    ? undefined
    : 'the server is not built';
}

/** Debian's etcd with `keelson apiserver` on it, its loops included. */
export async function startApiserverOnEtcd(home: string): Promise<ApiTarget> {
  const [client, peer, secure] = await freePorts(3);
  const started: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    // The server first: what it says last it still says to its store.
    for (const child of started.toReversed()) await ended(child, 'SIGTERM');
  };
  const begin = (
    name: string,
    program: string,
    args: readonly string[],
  ): { log: string; child: ChildProcess } => {
    const log = path.join(home, `${name}.log`);
    const out = openSync(log, 'a', 0o600);
    const child = spawn(program, args, { stdio: ['ignore', out, out] });
    started.push(child);
    return { log, child };
  };
  try {
    const url = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    begin('etcd', REFERENCE_ETCD ?? 'etcd', [
      `--data-dir=${path.join(home, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
    ]);
    const certificates = path.join(home, 'certificates');
    mkdirSync(certificates, { recursive: true });
    const { log, child } = begin('apiserver', path.join(ROOT, 'bin', 'keelson'), [
      'apiserver',
      `--etcd-servers=${url}`,
      `--cert-dir=${certificates}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${secure}`,
      '--authorization-mode=Node,RBAC',
      '--controllers=*',
    ]);
    const file = path.join(certificates, 'admin.conf');
    await waitUntil('the API server has started', { timeoutMs: START_MS }, () => {
      if (child.exitCode !== null) throw new HopelessError(readFileSync(log, 'utf8'));
      return existsSync(file) || undefined;
    });
    return { kubeconfig: readFileSync(file, 'utf8'), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
