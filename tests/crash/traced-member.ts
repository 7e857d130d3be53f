/**
 * A member alone, under strace, and what its clients did: the script, with what was acknowledged and when. Nothing is
 * ever tried again: what got no answer may or may not have happened.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { compare, createClient, op, type Client } from '@keelson/client';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { KEELSON_ETCD } from '../harness/binaries.ts';
import { READY_LINE } from '../harness/member-process.ts';

export interface Acknowledged {
  /** At the latest, in milliseconds since 1970. */
  readonly atMs: number;
  readonly revision: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One process on one data directory. */
export class TracedMember {
  readonly home: string;
  readonly dataDir: string;
  readonly ports: readonly number[];
  readonly acknowledged: Acknowledged[] = [];
  private child: ChildProcess | undefined;
  private ended: Promise<Ended> | undefined;
  private said = '';
  private lives = 0;

  private constructor(home: string, ports: readonly number[]) {
    this.home = home;
    this.dataDir = path.join(home, 'data');
    this.ports = ports;
  }

  static async in(home: string): Promise<TracedMember> {
    mkdirSync(home, { recursive: true });
    return new TracedMember(home, await freePorts(2));
  }

  /** Its flags, for another place of the data. */
  flags(dataDir = this.dataDir): string[] {
    const [client, peer] = this.ports;
    return [
      '--name=m1',
      `--data-dir=${dataDir}`,
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=m1=http://127.0.0.1:${peer}`,
      '--snapshot-count=40',
      '--snapshot-catchup-entries=5',
      '--bcrypt-cost=4',
    ];
  }

  /** @param straceFlags undefined: without strace */
  start(straceFlags?: readonly string[]): void {
    const trace = this.traceFile(this.lives++);
    const command =
      straceFlags === undefined
        ? [KEELSON_ETCD, ...this.flags()]
        : ['strace', '-o', trace, ...straceFlags, KEELSON_ETCD, ...this.flags()];
    this.said = '';
    const { PATH = '' } = process.env;
    // One thread of the pool: calls of the disk come one after the other, and the n-th is the same each time.
    const child = spawn(command[0], command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH, UV_THREADPOOL_SIZE: '1' },
      detached: true,
    });
    this.child = child;
    child.stderr.on('data', (bytes: Buffer) => {
      this.said += bytes.toString();
    });
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.child = undefined;
      return { code, signal };
    });
  }

  /** Resolves to whether it serves; false when it has ended. */
  async ready(timeoutMs = 60_000): Promise<boolean> {
    const deadlineMs = Date.now() + timeoutMs;
    while (!this.said.includes(READY_LINE)) {
      if (this.child === undefined) return false;
      if (Date.now() > deadlineMs) throw new Error(`not ready in ${timeoutMs} ms:\n${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  get log(): string {
    return this.said;
  }

  /** The line that says why it ended. */
  get fatalLine(): string | undefined {
    return this.said.split('\n').find((line) => line.includes('"level":"fatal"'));
  }

  client(): Client {
    return createClient({ endpoints: [`127.0.0.1:${this.ports[0]}`] });
  }

  /** Signals strace's own group: the member and whoever traces it. */
  async end(signal: NodeJS.Signals): Promise<Ended | undefined> {
    const { child, ended } = this;
    if (child?.pid === undefined) return ended;
    try {
      process.kill(-child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    return ended;
  }

  exited(): Promise<Ended | undefined> {
    return this.ended ?? Promise.resolve(undefined);
  }

  private traceFile(life: number): string {
    return path.join(this.home, `trace.${life}`);
  }

  trace(life: number): string {
    return readFileSync(this.traceFile(life), 'latin1');
  }

  /** Of a write that was answered. */
  note(header: { readonly revision: number } | undefined): void {
    this.acknowledged.push({ atMs: Date.now() + 1, revision: header?.revision ?? 0 });
  }
}

/** Operation i of the script, the same each time. Each changes the revision in the end. */
export async function operate(member: TracedMember, client: Client, i: number): Promise<void> {
  const key = `k${i % 13}`;
  switch (i % 16) {
    case 2:
      member.note((await client.kv.delete(key)).header);
      break;
    case 4: {
      const id = BigInt(10_000 + i);
      await client.lease.grant(3600, { id });
      member.note((await client.kv.put(`leased${i}`, 'x', { lease: id })).header);
      break;
    }
    case 6: {
      const { header } = await client.kv.txn({
        compare: [compare.version(key, '>', 0)],
        success: [op.put(key, `txn ${i}`), op.put(`t${i}`, 'new')],
        failure: [op.put(`f${i}`, 'none')],
      });
      member.note(header);
      break;
    }
    case 9: {
      await client.auth.userAdd(`user${i}`, 'secret');
      member.note((await client.kv.put(key, `behind a user ${i}`)).header);
      break;
    }
    case 11: {
      const { header } = await client.kv.put(key, 'before the compaction');
      member.note(header);
      if (i % 32 === 11) await client.kv.compact((header?.revision ?? 3) - 2, { physical: true });
      break;
    }
    case 13: {
      const answers = await Promise.all([1, 2, 3].map((n) => client.kv.put(`p${n}`, `${i}`)));
      for (const { header } of answers) member.note(header);
      break;
    }
    case 15:
      member.note((await client.kv.put(`large${i % 3}`, Buffer.alloc(1200, i))).header);
      if (i % 48 === 47) await client.maintenance.defragment();
      break;
    default:
      member.note((await client.kv.put(key, `value ${i}`)).header);
  }
}
