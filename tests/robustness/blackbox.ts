/**
 * Real processes under faults, a round after the other: `npm run robustness -- --minutes M`. Each round is a cluster from nothing
 * with a load of everything clients can do, one or two faults at a time, and a history that is judged when all is quiet again.
 *
 *   node tests/robustness/blackbox.ts --minutes 10 [--seed N] [--rounds N] [--target keelson|etcd] [--only fault,…]
 *     [--seconds S of faults in a round] [--loopback] [--keep] [--ledger]
 *
 * The seed repeats the schedule: which faults meet whom, for how long, and what each client wishes; not the timing. A round
 * that failed leaves its directory: data, logs, and the history, which `--judge FILE` judges again.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { readHistory } from '@keelson/sim';
import { numberOf, scriptFlags } from '../../packages/base/test/script.ts';
import { KEELSON_ETCD, REFERENCE_ETCD } from '../harness/binaries.ts';
import { Namespaces, namespacesMissing, removeLeftNamespaces } from '../harness/namespaces.ts';
import type { Network } from '../harness/network.ts';
import { Relays } from '../harness/relays.ts';
import { freshSeed, type Say, versionOf } from '../harness/script.ts';
import { unmountBelow } from '../harness/small-disk.ts';
import { straceMissing } from '../harness/syscalls.ts';
import type { Field } from './blackbox/field.ts';
import { judgeHistory } from './blackbox/judge.ts';
import { describePlan, FAULT_KINDS, planRound, type FaultKind, type RoundPlan } from './blackbox/plan.ts';
import { runRound, type RoundReport, type Target } from './blackbox/round.ts';

const PREFIX = 'keelson-blackbox-';

export const KEELSON: Target = {
  name: 'keelson',
  binary: KEELSON_ETCD,
  clocks: true,
  progressOvertakes: false,
  flags: (plan) => [
    ...common(plan),
    `--compaction-batch-limit=${plan.compactionBatch}`,
    `--snapshot-catchup-entries=${Math.ceil(plan.snapshotCount / 5)}`,
    '--watch-progress-notify-interval=700ms',
  ],
};

/** Debian's 3.4.23, whose bugs are known. */
export const ETCD: Target = {
  name: 'etcd',
  binary: REFERENCE_ETCD ?? 'etcd',
  clocks: false,
  progressOvertakes: true,
  flags: (plan) => [
    ...common(plan),
    `--experimental-compaction-batch-limit=${plan.compactionBatch}`,
    '--experimental-watch-progress-notify-interval=700ms',
  ],
};

function common(plan: RoundPlan): readonly string[] {
  return [
    `--snapshot-count=${plan.snapshotCount}`,
    `--election-timeout=${plan.electionMs}`,
    `--heartbeat-interval=${plan.electionMs / 10}`,
  ];
}

/** Faults that the target cannot be put to: etcd of old has no checksums in its backend, and no clock that can be shifted. */
export function kindsFor(target: Target, only: readonly FaultKind[]): readonly FaultKind[] {
  const without = new Set<FaultKind>([
    ...(target.name === 'etcd' ? (['rot'] as const) : []),
    ...(target.clocks ? [] : (['clockStep'] as const)),
    ...(straceMissing() === undefined ? [] : (['slowSync', 'failSync'] as const)),
    ...(process.getuid?.() === 0 ? [] : (['fullDisk'] as const)),
  ]);
  const kinds = (only.length > 0 ? only : FAULT_KINDS).filter((kind) => !without.has(kind));
  if (kinds.length === 0) throw new Error('no fault is left');
  return kinds;
}

export interface BlackboxOptions {
  readonly target: Target;
  readonly seed: number;
  readonly rounds: number;
  readonly minutes: number;
  readonly only: readonly FaultKind[];
  /** Of faults in a round; undefined: 30 to 60, by the seed. */
  readonly seconds?: number | undefined;
  readonly loopback: boolean;
  readonly keep: boolean;
}

/** Runs rounds until the time or their number is over, or three have failed. */
export async function blackbox(options: BlackboxOptions, say: Say): Promise<RoundReport[]> {
  removeLeft();
  const missing = options.loopback ? 'it was asked for' : namespacesMissing();
  say(
    missing === undefined ? 'each member in a network namespace' : `on loopback, behind relays: ${missing}`,
  );
  const kinds = kindsFor(options.target, options.only);
  const home = mkdtempSync(path.join(tmpdir(), `${PREFIX}${process.pid}-`));
  const reports: RoundReport[] = [];
  let field: Field | undefined;
  let network: Network | undefined;
  const cleanUp = (): void => {
    // Synchronous: the process is ending.
    for (const i of field?.everyone ?? []) {
      const { pid } = field!.member(i);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
    for (const one of field?.tampered ?? []) one.abandon();
    network?.dispose();
    unmountBelow(home);
  };
  const interrupted = (): never => {
    cleanUp();
    process.exit(130);
  };
  process.once('exit', cleanUp);
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  const untilMs = performance.now() + options.minutes * 60_000;
  try {
    for (let round = 1; round <= options.rounds && performance.now() < untilMs; round++) {
      const plan = planRound(options.seed, round, kinds, options.seconds);
      say(`round ${round}, seed ${options.seed}: ${describePlan(plan)}`);
      network = missing === undefined ? new Namespaces(3) : await Relays.open(3);
      try {
        const report = await runRound({
          target: options.target,
          plan,
          network,
          parent: home,
          say,
          keep: options.keep,
          started: (started) => {
            field = started;
          },
        });
        reports.push(report);
        say(describeReport(report));
        for (const line of report.broken.slice(0, 20)) say(`  BROKEN ${line}`);
        if (report.directory !== undefined) {
          say(
            `  judge it again: node tests/robustness/blackbox.ts --judge ${report.directory}/history.jsonl`,
          );
        }
      } finally {
        network.dispose();
        network = undefined;
        field = undefined;
      }
      if (reports.filter(({ broken }) => broken.length > 0).length >= 3) break;
    }
  } finally {
    process.removeListener('exit', cleanUp);
    process.removeListener('SIGINT', interrupted);
    process.removeListener('SIGTERM', interrupted);
    if (readdirSync(home).length === 0) rmSync(home, { recursive: true });
  }
  return reports;
}

/** What a run that was killed has left: members, file systems, namespaces. Kept histories stay. */
export function removeLeft(): void {
  removeLeftNamespaces();
  mkdirSync(tmpdir(), { recursive: true });
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const maker = Number(name.slice(PREFIX.length).split('-')[0]);
    if (lives(maker)) continue;
    const home = path.join(tmpdir(), name);
    killBelow(home);
    if (process.getuid?.() === 0) unmountBelow(home);
  }
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Members whose data lies in there. */
function killBelow(home: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
      if (words.some((word) => word.startsWith(`--data-dir=${home}/`))) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

export function describeReport(report: RoundReport): string {
  const { plan, ok, refused, unknown, revisions, watchEvents, streams, resumedMs, judgedMs } = report;
  const faults = [...report.faults].map(([kind, n]) => `${kind} ${n}`).join(', ');
  return `round ${plan.round}: ${ok} ok, ${refused} refused, ${unknown} unknown; ${revisions} revisions; ${watchEvents} watch events on ${streams} streams; writes again after ${resumedMs.toFixed(0)} ms; ${faults}; ${report.missed} missed; judged in ${judgedMs.toFixed(0)} ms: ${report.broken.length === 0 ? 'all laws hold' : `${report.broken.length} BROKEN`}`;
}

/** A row for docs/ledger.md. */
export function ledgerRow(
  reports: readonly RoundReport[],
  minutes: number,
  commit: string,
  seed: number,
): string {
  const sum = (of: (report: RoundReport) => number): number => reports.reduce((all, one) => all + of(one), 0);
  const faults = new Map<string, number>();
  for (const report of reports)
    for (const [kind, n] of report.faults) faults.set(kind, (faults.get(kind) ?? 0) + n);
  const names = [...faults]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, n]) => `${kind} ${n}`)
    .join(', ');
  const failed = reports.filter(({ broken }) => broken.length > 0).map(({ plan }) => plan.round);
  const cells = [
    commit,
    `${seed}`,
    `${reports.length}`,
    minutes.toFixed(0),
    names,
    `${sum((r) => r.ok)} / ${sum((r) => r.refused)} / ${sum((r) => r.unknown)}`,
    `${sum((r) => r.watchEvents)}`,
    failed.length === 0 ? 'none' : `rounds ${failed.join(', ')}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

async function run(): Promise<void> {
  const values = scriptFlags(import.meta.filename, {
    minutes: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    target: { type: 'string', default: 'keelson' },
    only: { type: 'string', default: '' },
    seconds: { type: 'string' },
    judge: { type: 'string' },
    loopback: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    ledger: { type: 'boolean', default: false },
  });
  const startedMs = performance.now();
  const say: Say = (line) => {
    process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)}s  ${line}\n`);
  };
  if (values.judge !== undefined) {
    const broken = judgeHistory(readHistory(readFileSync(values.judge, 'utf8')));
    for (const line of broken) say(`BROKEN ${line}`);
    say(broken.length === 0 ? 'all laws hold' : `${broken.length} broken`);
    process.exitCode = broken.length === 0 ? 0 : 1;
    return;
  }
  const only = values.only
    .split(',')
    .filter((word) => word !== '')
    .map((word) => {
      const kind = FAULT_KINDS.find((known) => known === word);
      if (kind === undefined) throw new Error(`--only: ${word} is none of ${FAULT_KINDS.join(', ')}`);
      return kind;
    });
  const target = values.target === 'etcd' ? ETCD : KEELSON;
  const seed = values.seed === undefined ? freshSeed() : numberOf('seed', values.seed);
  say(`${target.name}: ${versionOf(target.binary)}; seed ${seed}`);
  const reports = await blackbox(
    {
      target,
      seed,
      rounds: numberOf('rounds', values.rounds),
      minutes: numberOf('minutes', values.minutes),
      only,
      seconds: values.seconds === undefined ? undefined : numberOf('seconds', values.seconds),
      loopback: values.loopback,
      keep: values.keep,
    },
    say,
  );
  const failed = reports.filter(({ broken }) => broken.length > 0);
  say(`${reports.length} rounds, ${failed.length} failed`);
  if (values.ledger) {
    const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim();
    const minutes = (performance.now() - startedMs) / 60_000;
    process.stdout.write(`${ledgerRow(reports, minutes, commit, seed)}\n`);
  }
  process.exitCode = failed.length === 0 ? 0 : 1;
}

if (import.meta.main) await run();
