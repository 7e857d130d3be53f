/**
 * Runs a script of etcdctl commands against one member of each side at a time, step by step in lockstep, and
 * tells where they differ: in output, exit code, or the revision that the store is at afterwards.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ETCDCTL } from '../harness/binaries.ts';
import { clientTlsFlags } from '../harness/certificates.ts';
import { etcdctl, RunningCtl, type CtlOptions, type CtlResult } from '../harness/etcdctl.ts';
import type { Memory, RunStep, Step, WatchAction, WatchStep } from './ctl-script.ts';
import type { KnownDifference } from './known-differences.ts';
import { waitUntil } from '../harness/waiting.ts';
import { idWords, inOrder, normalize } from './normalize.ts';
import type { Side } from './sides.ts';

/** How long a command may take to print what it must, or to end by itself: more than a third of a lock's TTL. */
const WATCH_MS = 30_000;

export interface Difference {
  readonly step: string;
  readonly lines: string[];
}

export interface Comparison {
  readonly steps: number;
  readonly differences: Difference[];
  /** Entries of the table of known differences that were needed. */
  readonly used: Set<KnownDifference>;
}

/** @param member place in ROLES of the member to talk to; it also chooses the keys, so passes do not meet */
export async function compareSides(
  sides: readonly [Side, Side],
  member: number,
  script: readonly Step[],
  known: readonly KnownDifference[],
): Promise<Comparison> {
  const runners = sides.map((side) => new Runner(side, member));
  const differences: Difference[] = [];
  const used = new Set<KnownDifference>();
  for (const step of script) {
    const [want, got] = await Promise.all(runners.map((runner) => runner.run(step)));
    const lines = compareLines(step.name, want, got, known, used);
    if (lines.length > 0) differences.push({ step: step.name, lines });
  }
  for (const runner of runners) runner.dispose();
  return { steps: script.length, differences, used };
}

/** Lines that only one side has, marked as in a diff: `-` the reference's, `+` ours. */
export function compareLines(
  step: string,
  want: readonly string[],
  got: readonly string[],
  known: readonly KnownDifference[],
  used: Set<KnownDifference>,
): string[] {
  if (want.join('\n') === got.join('\n')) return [];
  let [left, right] = [want, got];
  for (const difference of known) {
    if (!difference.step.test(step)) continue;
    const [newLeft, newRight] = [left, right].map((lines) => difference.rewrite(lines));
    if (newLeft.join('\n') !== left.join('\n') || newRight.join('\n') !== right.join('\n'))
      used.add(difference);
    [left, right] = [newLeft, newRight];
  }
  if (left.join('\n') === right.join('\n')) return [];
  const lines: string[] = [];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    if (left[i] === right[i]) continue;
    if (i < left.length) lines.push(`- ${left[i]}`);
    if (i < right.length) lines.push(`+ ${right[i]}`);
  }
  return lines;
}

class Runner {
  private readonly side: Side;
  private readonly index: number;
  private readonly options: CtlOptions;
  private readonly prefix: string;
  private readonly peerUrl: string;
  private readonly revisions = new Map<string, number>();
  private readonly leases = new Map<string, string>();
  private readonly members = new Map<string, string>();
  private readonly folder: string;
  private printed = '';
  private revision = 0;

  constructor(side: Side, member: number) {
    if (ETCDCTL === undefined) throw new Error('there is no etcdctl on the PATH');
    this.side = side;
    const identity = side.identity.members[member];
    this.index = identity.index;
    this.options = { binary: ETCDCTL, endpoints: [identity.clientAddress], tls: side.cluster.tls };
    this.prefix = `${String.fromCodePoint(0x61 + member)}/`;
    this.peerUrl = side.cluster.members[identity.index].peerUrl;
    for (const each of side.identity.members) this.members.set(each.role, each.id.toString(16));
    this.folder = mkdtempSync(path.join(tmpdir(), 'keelson-ctl-'));
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Everything comparable that came of a step. */
  async run(step: Step): Promise<string[]> {
    const outputs = step.kind === 'run' ? await this.runCommand(step) : await this.runWatch(step);
    // A linearizable read is refused while the leader changes.
    this.revision = await waitUntil('the revision is told', { timeoutMs: 10_000, everyMs: 50 }, () =>
      this.side.cluster.api(this.index).revision(),
    );
    if (step.kind === 'run') this.note(step, outputs[0]);
    const words = [
      ...idWords(this.side.identity, this.leases, this.members),
      [this.folder, '<folder>'] as [string, string],
    ];
    const lines = outputs.flatMap((output) => {
      const [printed, errors] = [output.stdout, output.stderr].map((text) => {
        const plain = normalize(text, words);
        return step.kind === 'run' && step.sorted !== undefined ? inOrder(plain, step.sorted) : plain;
      });
      return [...printed, '-- stderr', ...errors, `-- exit code ${output.code}`];
    });
    return [...lines, `-- revision ${this.revision}`];
  }

  private async runCommand(step: RunStep): Promise<CtlResult[]> {
    const options = {
      ...this.options,
      ...(step.everyMember === true
        ? { endpoints: this.side.identity.members.map((member) => member.clientAddress) }
        : {}),
      ...(step.stdin === undefined ? {} : { stdin: step.stdin(this.memory) }),
      ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }),
    };
    if (step.patient === undefined) return [await etcdctl(step.args(this.memory), options)];
    const succeed = async (): Promise<CtlResult | undefined> => {
      const result = await etcdctl(step.args(this.memory), options);
      return result.code === 0 ? result : undefined;
    };
    return [await waitUntil(`${step.name} succeeds`, { timeoutMs: 15_000, everyMs: 300 }, succeed)];
  }

  private async runWatch(step: WatchStep): Promise<CtlResult[]> {
    const watch = new RunningCtl(step.args(this.memory), this.options);
    const outputs: CtlResult[] = [];
    const missed: string[] = [];
    for (const action of step.actions) {
      const why = await this.act(action, watch, outputs);
      if (why !== undefined) missed.push(why);
      this.printed = watch.stdout;
    }
    const alone = step.actions.length === 0 || step.actions.some((action) => 'ends' in action);
    const result = alone ? await watch.result(WATCH_MS) : await watch.interrupt();
    return [...outputs, { ...result, stderr: [result.stderr, ...missed].join('\n') }];
  }

  /** @returns what did not happen */
  private async act(
    action: WatchAction,
    watch: RunningCtl,
    outputs: CtlResult[],
  ): Promise<string | undefined> {
    if ('type' in action) watch.type(action.type(this.memory));
    else if ('run' in action) outputs.push(await etcdctl(action.run(this.memory), this.options));
    else if ('until' in action) {
      if (!(await watch.prints(action.until, WATCH_MS))) return `never printed ${String(action.until)}`;
    } else if ('reads' in action) {
      const read = (): Promise<CtlResult> => etcdctl(action.reads(this.memory), this.options);
      if (!(await inTime(async () => action.untilRead.test((await read()).stdout))))
        return `never read ${String(action.untilRead)}`;
    } else if ('startsAndStops' in action) {
      const second = new RunningCtl(action.startsAndStops(this.memory), this.options);
      const done = await inTime(async () => {
        if ('untilHeard' in action)
          return [watch, second].every(({ stdout }) => action.untilHeard.test(stdout));
        const keys = ['get', '--prefix', action.afterKeys(this.memory), '--keys-only'];
        return (await etcdctl(keys, this.options)).stdout.match(/^.+$/gm)?.length === 2;
      });
      outputs.push(await second.interrupt());
      if (!done) return 'the second command made no difference';
    }
    return undefined;
  }

  private note(step: RunStep, output: CtlResult): void {
    if (step.noteRevision !== undefined) this.revisions.set(step.noteRevision, this.revision);
    if (step.noteLease !== undefined) this.leases.set(step.noteLease, leaseIn(output.stdout));
    if (step.noteMember !== undefined) this.members.set(step.noteMember, memberIn(output.stdout));
  }

  private get memory(): Memory {
    return {
      p: this.prefix,
      rev: (offset = 0) => String(this.revision + offset),
      noted: (name, offset = 0) => String(known(this.revisions, name) + offset),
      lease: (name) => known(this.leases, name),
      member: (name) => known(this.members, name),
      peerUrl: this.peerUrl,
      file: (name) => path.join(this.folder, name),
      destination: [...this.options.endpoints, ...destinationFlags(this.options)],
      printedLease: /\/([0-9a-f]{12,16})\n/.exec(this.printed)?.[1] ?? 'none',
    };
  }
}

function known<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`nothing is noted as ${name}`);
  return value;
}

/** A lease id out of any format, in hex. */
function leaseIn(stdout: string): string {
  const hex = /lease ([0-9a-f]{15,16}) granted/.exec(stdout)?.[1];
  if (hex !== undefined) return hex;
  const decimal = /"ID" ?: ?(\d+)/i.exec(stdout)?.[1];
  if (decimal === undefined) throw new Error(`no lease id in: ${stdout}`);
  return BigInt(decimal).toString(16).padStart(16, '0');
}

/** The id of an added member, in hex. */
function memberIn(stdout: string): string {
  const hex = /^Member +([0-9a-f]+) added/.exec(stdout)?.[1];
  if (hex !== undefined) return hex;
  const decimal = /"member":\{"ID":(\d+)/.exec(stdout)?.[1];
  if (decimal === undefined) throw new Error(`no member id in: ${stdout}`);
  return BigInt(decimal).toString(16);
}

/** The flags of TLS as make-mirror wants them for its destination. */
function destinationFlags({ tls }: CtlOptions): string[] {
  if (tls === undefined) return [];
  return clientTlsFlags(tls).map((flag) => flag.replace(/^--/, '--dest-'));
}

async function inTime(holds: () => Promise<boolean>): Promise<boolean> {
  try {
    await waitUntil(
      'it holds',
      { timeoutMs: WATCH_MS, everyMs: 20 },
      async () => (await holds()) || undefined,
    );
    return true;
  } catch {
    return false;
  }
}
