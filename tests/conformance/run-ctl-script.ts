/**
 * Runs a script of etcdctl commands against one member of each side at a time, step by step in lockstep, and
 * tells where they differ: in output, exit code, or the revision that the store is at afterwards.
 */
import { ETCDCTL } from '../harness/binaries.ts';
import { etcdctl, RunningCtl, type CtlOptions, type CtlResult } from '../harness/etcdctl.ts';
import type { Memory, RunStep, Step, WatchStep } from './ctl-script.ts';
import type { KnownDifference } from './known-differences.ts';
import { idWords, inOrder, normalize } from './normalize.ts';
import type { Side } from './sides.ts';

/** How long a watch may take to print what it must. */
const WATCH_MS = 3000;

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
  private readonly revisions = new Map<string, number>();
  private readonly leases = new Map<string, string>();
  private revision = 0;

  constructor(side: Side, member: number) {
    if (ETCDCTL === undefined) throw new Error('there is no etcdctl on the PATH');
    this.side = side;
    const identity = side.identity.members[member];
    this.index = identity.index;
    this.options = { binary: ETCDCTL, endpoints: [identity.clientAddress], tls: side.cluster.tls };
    this.prefix = `${String.fromCodePoint(0x61 + member)}/`;
  }

  /** Everything comparable that came of a step. */
  async run(step: Step): Promise<string[]> {
    const outputs = step.kind === 'run' ? await this.runCommand(step) : await this.runWatch(step);
    this.revision = await this.side.cluster.api(this.index).revision();
    if (step.kind === 'run') this.note(step, outputs[0]);
    const words = idWords(this.side.identity, this.leases);
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
    };
    return [await etcdctl(step.args(this.memory), options)];
  }

  private async runWatch(step: WatchStep): Promise<CtlResult[]> {
    const watch = new RunningCtl(step.args(this.memory), this.options);
    const outputs: CtlResult[] = [];
    const missed: string[] = [];
    for (const action of step.actions) {
      if ('type' in action) watch.type(action.type(this.memory));
      else if ('run' in action) outputs.push(await etcdctl(action.run(this.memory), this.options));
      else if (!(await watch.prints(action.until, WATCH_MS)))
        missed.push(`never printed ${String(action.until)}`);
    }
    const result = step.actions.length === 0 ? await watch.result(WATCH_MS) : await watch.interrupt();
    return [...outputs, { ...result, stderr: [result.stderr, ...missed].join('\n') }];
  }

  private note(step: RunStep, output: CtlResult): void {
    if (step.noteRevision !== undefined) this.revisions.set(step.noteRevision, this.revision);
    if (step.noteLease !== undefined) this.leases.set(step.noteLease, leaseIn(output.stdout));
  }

  private get memory(): Memory {
    return {
      p: this.prefix,
      rev: (offset = 0) => String(this.revision + offset),
      noted: (name, offset = 0) => String(known(this.revisions, name) + offset),
      lease: (name) => known(this.leases, name),
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
