/**
 * What a directed scenario stands on: a small cluster of real processes, clients and watches that are recorded, and a verdict
 * in the end. A scenario leads a server to where a known bug shows itself; the laws, not the scenario, say that it did.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HistoryRecorder, type Response } from '@keelson/sim';
import type { Network } from '../../harness/network.ts';
import { RecordingClient } from '../../harness/recording-client.ts';
import { RecordingStream } from '../../harness/recording-watch.ts';
import { pause } from '../../harness/waiting.ts';
import { Field } from '../blackbox/field.ts';
import { judgeHistory } from '../blackbox/judge.ts';

export interface Scenario {
  readonly name: string;
  /** etcd's issue, or the advisory. */
  readonly issue: string;
  /** The law that a server with this bug breaks. */
  readonly law: string;
  readonly what: string;
  readonly members: 1 | 3;
  /** Flags by the names that 3.7 has; an etcd of old has some of them as experimental ones. */
  readonly flags: Readonly<Record<string, string>>;
  readonly run: (stage: Stage) => Promise<void>;
}

/** What has another name, or none, in etcd 3.4. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  'compaction-batch-limit': 'experimental-compaction-batch-limit',
  'watch-progress-notify-interval': 'experimental-watch-progress-notify-interval',
  'snapshot-catchup-entries': '',
};
const WATCH_CLIENT = 90;

export class Stage {
  readonly recorder: HistoryRecorder;
  readonly field: Field;
  /** Entries that a member must miss before it can only come by snapshot. */
  readonly missedEntries: number;
  /** What a scenario saw itself, where no law of histories looks. */
  readonly seen: string[] = [];
  private readonly clients: RecordingClient[] = [];
  private readonly streams: RecordingStream[] = [];

  constructor(recorder: HistoryRecorder, field: Field, missedEntries: number) {
    this.recorder = recorder;
    this.field = field;
    this.missedEntries = missedEntries;
  }

  client(number = 0, user?: string, timeoutMs = 5000): RecordingClient {
    const client = new RecordingClient({
      recorder: this.recorder,
      client: number,
      names: this.field,
      addressOf: (member) => this.field.addressOf(member),
      timeoutMs,
      ...(user === undefined ? {} : { user }),
    });
    this.clients.push(client);
    return client;
  }

  async stream(member: string): Promise<RecordingStream> {
    const stream = await RecordingStream.open(this.recorder, this.client(WATCH_CLIENT), member);
    this.streams.push(stream);
    return stream;
  }

  /** All keys are read at each member, and what watches were to be told has had `forMs` to come. */
  async settle(forMs = 1000): Promise<void> {
    await pause(forMs);
    const client = this.client(99);
    let revision = 0;
    for (const i of this.field.everyone) {
      const answer = await client.ask(this.field.name(i), { kind: 'range', key: '\0', end: '\0' }, 10_000);
      revision = Math.max(revision, answer?.revision ?? 0);
    }
    this.recorder.fact({ type: 'settled', revision });
  }

  end(): void {
    for (const stream of this.streams) stream.end();
    for (const client of this.clients) client.close();
  }
}

/** @throws Error where a scenario cannot go on without the answer */
export function must<T extends Response['kind']>(
  response: Response | undefined,
  kind: T,
): Extract<Response, { kind: T }> {
  if (response?.kind !== kind) throw new Error(`no answer to ${kind}`);
  return response as Extract<Response, { kind: T }>;
}

export interface Performance {
  readonly broken: readonly string[];
  readonly ms: number;
}

/** @returns what was broken; nothing: the server kept all laws. @throws Error when the scenario could not be played */
export async function perform(
  scenario: Scenario,
  target: { readonly name: 'keelson' | 'etcd'; readonly binary: string },
  network: Network,
): Promise<Performance> {
  const startedMs = performance.now();
  const parent = mkdtempSync(path.join(tmpdir(), 'keelson-scenario-'));
  const old = target.name === 'etcd';
  const flags = Object.entries(scenario.flags).flatMap(([name, value]) => {
    const word = old ? (OLD_NAMES[name] ?? name) : name;
    return word === '' ? [] : [`--${word}=${value}`];
  });
  const recorder = new HistoryRecorder({
    nowMs: () => performance.now(),
    beginning: { name: `${scenario.name} on ${target.name}`, electionTimeoutMs: 1000 },
  });
  let field: Field | undefined;
  const killAll = (): void => {
    for (const i of field?.everyone ?? []) {
      const pid = field?.member(i).pid;
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
  };
  process.once('exit', killAll);
  try {
    field = await Field.start({ binary: target.binary, network, recorder, flags, parent, clocks: false });
    // etcd 3.4 keeps 5000 entries behind a snapshot, whatever one says.
    const stage = new Stage(recorder, field, old ? 5600 : 600);
    try {
      await scenario.run(stage);
    } finally {
      stage.end();
    }
    await pause(50);
    const broken = [...stage.seen, ...judgeHistory(recorder.finish())];
    return { broken, ms: performance.now() - startedMs };
  } finally {
    await field?.dispose();
    process.removeListener('exit', killAll);
    rmSync(parent, { recursive: true, force: true });
  }
}
