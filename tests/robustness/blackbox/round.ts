/**
 * One round: a cluster from nothing, load and watches, the faults of its plan, then peace: writes resume, all members stand at
 * one revision with one hash, every watch was told everything, and the history is judged. What breaks is returned, not thrown;
 * thrown is what keeps the round from being judged at all.
 */
import { createWriteStream, mkdtempSync, rmSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { HistoryRecorder, linesOf, type History } from '@keelson/sim';
import type { Network } from '../../harness/network.ts';
import type { Say } from '../../harness/script.ts';
import { pause, waitUntil } from '../../harness/waiting.ts';
import { inject } from './faults.ts';
import { Field } from './field.ts';
import { judgeHistory } from './judge.ts';
import { Load } from './load.ts';
import type { FaultPlan, RoundPlan } from './plan.ts';
import { Watchers } from './watchers.ts';

/** What is under test, and what it can be asked. */
export interface Target {
  readonly name: 'keelson' | 'etcd';
  readonly binary: string;
  readonly flags: (plan: RoundPlan) => readonly string[];
  /** Its time of day can be shifted. */
  readonly clocks: boolean;
  /** Its progress reports say nothing of what is still to come. */
  readonly progressOvertakes: boolean;
}

export interface RoundReport {
  readonly plan: RoundPlan;
  readonly faults: ReadonlyMap<string, number>;
  readonly missed: number;
  readonly ok: number;
  readonly refused: number;
  readonly unknown: number;
  readonly revisions: number;
  readonly watchEvents: number;
  readonly streams: number;
  /** From the end of the faults to the next acknowledged write. */
  readonly resumedMs: number;
  /** Of judging. */
  readonly judgedMs: number;
  readonly broken: readonly string[];
  /** Kept only when something is broken. */
  readonly directory: string | undefined;
}

export interface RoundOptions {
  readonly target: Target;
  readonly plan: RoundPlan;
  readonly network: Network;
  /** Directories are made in here. */
  readonly parent: string;
  readonly say: Say;
  /** Keep everything, whatever comes. */
  readonly keep: boolean;
  /** Told of what must be undone when this process is told to end. */
  readonly started: (field: Field) => void;
}

const REQUEST_MS = 1500;
const DISK_MEGABYTES = 256;
/** Of leases that end late: the machine may be busy with other things. */
const SLACK_MS = 10_000;
/** Nobody's promise: a bound that even a machine with ten times the load keeps. */
const HEAL_MS = 120_000;
const SETTLE_MS = 60_000;

export async function runRound(options: RoundOptions): Promise<RoundReport> {
  const { target, plan, network, say } = options;
  const parent = mkdtempSync(path.join(options.parent, `round-${plan.round}-`));
  const recorder = new HistoryRecorder({
    nowMs: () => performance.now(),
    beginning: {
      name: `${target.name} seed ${plan.seed} round ${plan.round}`,
      electionTimeoutMs: plan.electionMs + SLACK_MS,
    },
  });
  const withDisks = plan.episodes.some(({ faults }) => faults.some(({ kind }) => kind === 'fullDisk'));
  const field = await Field.start({
    binary: target.binary,
    network,
    recorder,
    flags: target.flags(plan),
    parent,
    clocks: target.clocks,
    ...(withDisks && process.getuid?.() === 0 ? { diskMegabytes: DISK_MEGABYTES } : {}),
  });
  options.started(field);
  const run = new Round(options, field);
  const broken: string[] = [];
  let history: History | undefined;
  let judgedMs = 0;
  try {
    try {
      await run.all();
    } catch (error) {
      broken.push(
        `the round did not come to its end: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    await run.end();
    history = recorder.finish();
    broken.push(...field.complaints);
    const judgedFromMs = performance.now();
    broken.push(...judgeHistory(history));
    judgedMs = performance.now() - judgedFromMs;
  } catch (error) {
    broken.push(`not judged: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    history ??= recorder.finish();
    const kept = broken.length > 0 || options.keep;
    await field.dispose(kept);
    if (kept) {
      await writeHistory(history, path.join(parent, 'history.jsonl'));
      say(`everything of it is kept in ${parent}`);
    } else {
      rmSync(parent, { recursive: true, force: true });
    }
  }
  const outcomes = history.operations.map(({ outcome }) => outcome.kind);
  const count = (kind: string): number => outcomes.filter((outcome) => outcome === kind).length;
  return {
    plan,
    faults: run.faults,
    missed: run.missed,
    ok: count('ok'),
    refused: count('refused'),
    unknown: count('unknown'),
    revisions: run.revision,
    watchEvents: history.watches.reduce(
      (sum, record) => sum + (record.type === 'watchResponse' ? (record.events?.length ?? 0) : 0),
      0,
    ),
    streams: run.streams,
    resumedMs: run.resumedMs,
    judgedMs,
    broken,
    directory: broken.length > 0 ? parent : undefined,
  };
}

async function writeHistory(history: History, file: string): Promise<void> {
  const stream: WriteStream = createWriteStream(file);
  for (const line of linesOf(history)) stream.write(`${line}\n`);
  stream.end();
  await finished(stream);
}

class Round {
  readonly faults = new Map<string, number>();
  missed = 0;
  resumedMs = 0;
  revision = 0;
  private readonly options: RoundOptions;
  private readonly field: Field;
  private readonly load: Load;
  private readonly watchers: Watchers;

  constructor(options: RoundOptions, field: Field) {
    this.options = options;
    this.field = field;
    const { plan } = options;
    const members = field.everyone.map((i) => field.name(i));
    const seed = (plan.seed * 31 + plan.round) >>> 0;
    this.load = new Load({
      recorder: field.recorder,
      names: field,
      members,
      addressOf: (member) => field.addressOf(member),
      seed,
      clients: plan.clients,
      paceMs: plan.paceMs,
      timeoutMs: REQUEST_MS,
      auth: plan.auth,
      witnessed: () => this.watchers.witnessed(),
    });
    this.watchers = new Watchers({
      recorder: field.recorder,
      members,
      client: (n) => this.load.client(1000 + n, 'root'),
      seed: seed + 1,
      streams: plan.streams,
      known: () => this.load.known,
      compacted: () => this.load.compacted,
    });
  }

  get streams(): number {
    return this.watchers.streams;
  }

  async all(): Promise<void> {
    const { plan, say } = this.options;
    const startedMs = performance.now();
    this.load.start();
    this.watchers.start();
    await this.load.acknowledgedMore(10, 30_000);
    for (const { afterMs, faults } of plan.episodes) {
      await pause(afterMs);
      if (performance.now() - startedMs > plan.forMs) break;
      this.load.takeGapMs();
      const done = await Promise.all(faults.map((fault) => this.fault(fault)));
      this.field.revive();
      const met = done.filter((line) => line !== undefined).join(' + ');
      say(
        `${met}; ${this.load.acknowledged} writes acknowledged, longest gap ${this.load.takeGapMs().toFixed(0)} ms`,
      );
    }
    const healedMs = performance.now();
    await this.field.heal(HEAL_MS);
    await this.load.acknowledgedMore(3, HEAL_MS);
    this.resumedMs = performance.now() - healedMs;
    await this.settle();
  }

  private async fault(fault: FaultPlan): Promise<string | undefined> {
    const done = await inject(this.field, fault);
    if (done === undefined) this.missed++;
    else this.faults.set(fault.kind, (this.faults.get(fault.kind) ?? 0) + 1);
    return done;
  }

  /** All is quiet: what the members and the watchers hold now is what they must. */
  private async settle(): Promise<void> {
    const { field, load } = this;
    await load.stop();
    if (this.options.plan.auth) {
      for (const i of field.everyone) await load.withoutAuth(field.name(i));
    }
    await this.leasesRunOut();
    this.revision = await this.still();
    await this.watchers.settle(this.revision, SETTLE_MS, this.options.target.progressOvertakes);
    field.recorder.fact({ type: 'settled', revision: this.revision });
    const client = load.client(2000, 'root');
    const hashes: string[] = [];
    for (const i of field.everyone) {
      const member = field.name(i);
      await client.ask(member, { kind: 'range', key: '\0', end: '\0' }, 20_000);
      await client.ask(member, { kind: 'range', key: '\0', end: '\0', serializable: true }, 20_000);
      const hash = await client.ask(member, { kind: 'hashKv', revision: this.revision }, 20_000);
      if (hash?.kind === 'hashKv')
        hashes.push(`${hash.hash} of ${hash.hashRevision}/${hash.compactRevision}`);
      else field.complaints.push(`${member} does not tell its hash`);
    }
    if (new Set(hashes).size > 1) field.complaints.push(`K9: hashes differ: ${hashes.join(', ')}`);
    await load.stop();
  }

  /** Short leases end by themselves; then nothing moves any more. */
  private async leasesRunOut(): Promise<void> {
    await pause(500);
  }

  /** The revision once every member has it and it stands still for longer than a short lease lives. */
  private async still(): Promise<number> {
    const { field } = this;
    let previous = -1;
    let sinceMs = performance.now();
    return waitUntil(
      'all members stand at one revision',
      { timeoutMs: SETTLE_MS, everyMs: 250 },
      async () => {
        const revisions: number[] = [];
        for (const i of field.everyone) {
          revisions.push(await field.cluster.api(i).revision({ timeoutMs: 5000 }));
          revisions.push(await field.cluster.api(i).revision({ serializable: true, timeoutMs: 5000 }));
        }
        const [first] = revisions;
        if (first !== previous || revisions.some((revision) => revision !== first)) {
          previous = first;
          sinceMs = performance.now();
          return undefined;
        }
        return performance.now() - sinceMs > 2500 ? first : undefined;
      },
    );
  }

  async end(): Promise<void> {
    await this.load.stop();
    await this.watchers.stop();
    this.load.close();
  }
}
