/** A real etcd and its etcdctl as tests here use them: what is missing, commands, single members on given directories. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { test } from '@jest/globals';
import { ETCDCTL, REFERENCE_ETCD } from '../harness/binaries.ts';
import { MemberApi } from '../harness/member-api.ts';
import { MemberProcess } from '../harness/member-process.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { waitUntil } from '../harness/waiting.ts';
import type { Address } from './keelson-member.ts';

/**
 * A test against a real etcd, or its name with what is missing for it.
 * @param missing what else it lacks here
 */
export function check(name: string, body: () => Promise<void>, missing?: string): void {
  const absent =
    missing ??
    (REFERENCE_ETCD === undefined
      ? 'no real etcd on the path'
      : ETCDCTL === undefined
        ? 'no etcdctl on the path'
        : undefined);
  if (absent === undefined) test(name, body, 120_000);
  else test.skip(`${name}: ${absent}`, () => {});
}

const run = promisify(execFile);

/** Not blocking: the server it talks to may be in this process. @throws with its output when it fails */
export async function etcdctl(...args: string[]): Promise<string> {
  return (await run(ETCDCTL ?? '', args, { env: { ETCDCTL_API: '3' }, timeout: 20_000 })).stdout;
}

/** What a command that fails says last. */
export async function etcdctlError(...args: string[]): Promise<string> {
  try {
    await etcdctl(...args);
  } catch (error) {
    // Of another realm under jest, so no instance of Error here.
    const stderr =
      typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : '';
    return stderr.trimEnd().split('\n').at(-1) ?? '';
  }
  throw new Error(`etcdctl ${args.join(' ')} succeeded`);
}

/** A directory for one test, removed after it. */
export class Workspace implements Disposable {
  readonly path: string;

  constructor() {
    this.path = mkdtempSync(path.join(tmpdir(), 'keelson-compatibility-'));
  }

  join(name: string): string {
    return path.join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Names and ports of members that may be run by either server, with the flag that founds their cluster. */
export async function plan(
  workspace: Workspace,
  count: number,
  prefix = 'm',
): Promise<{ readonly members: readonly Address[]; readonly initialCluster: string }> {
  const ports = await freePorts(2 * count);
  const members = Array.from({ length: count }, (_, i) => ({
    name: `${prefix}${i + 1}`,
    // MemberProcess keeps its data there.
    dataDir: path.join(workspace.path, `${prefix}${i + 1}`, 'data'),
    clientPort: ports[2 * i],
    peerPort: ports[2 * i + 1],
  }));
  const initialCluster = members
    .map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`)
    .join(',');
  return { members, initialCluster };
}

/** A real etcd on a member's directory. */
export class EtcdMember implements AsyncDisposable {
  readonly process: MemberProcess;
  readonly api: MemberApi;

  private constructor(process: MemberProcess) {
    this.process = process;
    this.api = new MemberApi(process.address);
  }

  /** Spawned; see ready(). */
  static start(at: Address, flags: readonly string[] = []): EtcdMember {
    const process = new MemberProcess({
      name: at.name,
      binary: REFERENCE_ETCD ?? '',
      clientPort: at.clientPort,
      peerPort: at.peerPort,
      home: path.dirname(at.dataDir),
      flags: [
        `--initial-cluster=${at.name}=http://127.0.0.1:${at.peerPort}`,
        '--initial-cluster-state=new',
        '--logger=zap',
        ...flags,
      ],
    });
    process.start();
    return new EtcdMember(process);
  }

  /** Answers a linearizable read. */
  async ready(): Promise<this> {
    await waitUntil(`${this.process.name} answers`, { timeoutMs: 30_000 }, () => {
      this.process.assertRuns();
      return this.api.revision({ timeoutMs: 1000 });
    });
    return this;
  }

  async stop(): Promise<void> {
    this.api.close();
    await this.process.stop();
  }

  /** At once, for one whose data is of no more use: three members that stop in order take seconds. */
  async kill(): Promise<void> {
    this.api.close();
    await this.process.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
