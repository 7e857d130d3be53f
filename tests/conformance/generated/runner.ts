/** Runs generated scripts on both sides in lockstep, compares every answer, and counts what was seen. */
import { RpcError } from '@keelson/rpc';
import { waitUntil, WaitError } from '../../harness/waiting.ts';
import { Renderer } from '../render.ts';
import type { Side } from '../sides.ts';
import { GENERATED_DIFFERENCES, LOST_TOMBSTONE } from './differences.ts';
import type { GeneratedScript } from './generator.ts';
import type { Step } from './operations.ts';
import { Session } from './session.ts';

export interface ScriptDifference {
  readonly seed: number;
  readonly kind: string;
  readonly step: string;
  readonly lines: readonly string[];
}

/** "KV.Put" → outcome → how often. */
export type Outcomes = Map<string, Map<string, number>>;

/** Longer than etcd's round over watches that have history to send. */
const CATCH_UP_MS = 150;

interface Player {
  readonly name: string;
  readonly session: Session;
  readonly renderer: Renderer;
}

export class ScriptRunner {
  readonly outcomes: Outcomes = new Map();
  /** Reasons of the known differences that were met. */
  readonly used = new Set<string>();
  steps = 0;
  private readonly players: readonly [Player, Player];

  /** Both at their first member. */
  constructor(sides: readonly [Side, Side]) {
    const player = (side: Side): Player => ({
      name: side.name,
      session: new Session(side.cluster.api(side.identity.members[0].index)),
      renderer: new Renderer(side.identity),
    });
    this.players = [player(sides[0]), player(sides[1])];
  }

  /** Undefined when both sides answered alike to the end; else the first difference. */
  async run(script: GeneratedScript): Promise<ScriptDifference | undefined> {
    await Promise.all(this.players.map(({ session }) => session.refresh()));
    const differs = (step: string, lines: readonly string[]): ScriptDifference => ({
      seed: script.seed,
      kind: script.kind,
      step,
      lines,
    });
    let historic = false;
    try {
      for (const [i, step] of script.steps.entries()) {
        // History on its way to a watch would race with what ends the watch or the history.
        if (step.traits.has('from the past')) historic = true;
        if (step.traits.has('settle')) {
          // A watch without an event to come shows nothing when it has caught up, which etcd does every 100 ms.
          if (historic) await new Promise((resolve) => setTimeout(resolve, CATCH_UP_MS));
          historic = false;
          const lines = await this.compareWatches();
          if (lines.length > 0) return differs(`what the watches heard before step ${i + 1}`, lines);
        }
        const [want, got] = await Promise.all(this.players.map((player) => this.answer(player, step)));
        this.steps++;
        this.count(step.rpc, want.outcome);
        const lines = this.compare(step, want.lines, got.lines);
        if (lines.length > 0) {
          await this.finish(script.steps.slice(i + 1));
          return differs(`${i + 1}: ${step.rpc} ${step.text}`, lines);
        }
      }
      const lines = await this.compareWatches();
      return lines.length > 0 ? differs('what the watches heard', lines) : undefined;
    } finally {
      for (const { session } of this.players) session.closeWatches();
    }
  }

  /** After a difference: what must not be left behind is undone all the same, unjudged. */
  private async finish(rest: readonly Step[]): Promise<void> {
    for (const step of rest.filter(({ traits }) => traits.has('clean up')))
      await Promise.all(this.players.map((player) => this.answer(player, step)));
  }

  private async answer(player: Player, step: Step): Promise<{ outcome: string; lines: string[] }> {
    try {
      return { outcome: 'OK', lines: player.renderer.message(await step.run(player.session)) };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const lines = player.renderer.error(error);
      // Sizes in a text would make a row of each.
      return { outcome: error.message.replace(/\(\d+ vs\. \d+\)/, '(… vs. …)'), lines };
    }
  }

  private count(rpc: string, outcome: string): void {
    const table = this.outcomes.get(rpc) ?? new Map<string, number>();
    this.outcomes.set(rpc, table);
    table.set(outcome, (table.get(outcome) ?? 0) + 1);
  }

  private compare(step: Step, want: readonly string[], got: readonly string[]): string[] {
    if (equal(want, got)) return [];
    let [left, right] = [want, got];
    for (const known of GENERATED_DIFFERENCES) {
      if (!known.about(step)) continue;
      this.used.add(known.reason);
      [left, right] = [known.rewrite(left), known.rewrite(right)];
    }
    return equal(left, right) ? [] : this.show(left, right);
  }

  /** Events arrive in their own time: equal, and still equal a moment later. */
  private async compareWatches(): Promise<string[]> {
    const tapes = (): string[][] => this.players.map(({ session }) => this.withoutLostTombstones(session));
    if (tapes().every((lines) => lines.length === 0)) return [];
    let before = '';
    try {
      await waitUntil('both heard the same', { timeoutMs: 20_000, everyMs: 8 }, () => {
        const [want, got] = tapes();
        const now = JSON.stringify(want);
        const settled = equal(want, got) && now === before;
        before = now;
        return settled ? true : undefined;
      });
      return [];
    } catch (error) {
      if (!(error instanceof WaitError)) throw error;
      const [want, got] = tapes();
      return this.show(want, got);
    }
  }

  /** What etcd 3.4 drops: the event of a key deleted at just the compacted revision. */
  private withoutLostTombstones(session: Session): string[] {
    return session.watchLines().filter((line) => {
      const deleted = / DELETE .* m(\d+) v0 /.exec(line);
      const lost = deleted !== null && session.compacted.has(Number(deleted[1]));
      if (lost) this.used.add(LOST_TOMBSTONE);
      return !lost;
    });
  }

  private show(want: readonly string[], got: readonly string[]): string[] {
    const [left, right] = this.players.map(({ name }) => name);
    return [
      ...want.filter((line) => !got.includes(line)).map((line) => `${left}: ${line}`),
      ...got.filter((line) => !want.includes(line)).map((line) => `${right}: ${line}`),
      ...(want.length === got.length ? ['or in another order'] : []),
    ];
  }
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i]);
}

/** RPC × outcome, most frequent first. */
export function outcomeTable(outcomes: Outcomes): string[] {
  return [...outcomes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([rpc, table]) =>
      [...table]
        .sort(([, a], [, b]) => b - a)
        .map(([outcome, count]) => `${rpc.padEnd(26)} ${String(count).padStart(7)}  ${outcome}`),
    );
}

/** Each text, over all RPCs. */
export function textCounts(outcomes: Outcomes): Map<string, number> {
  const counts = new Map<string, number>();
  for (const table of outcomes.values())
    for (const [text, count] of table) counts.set(text, (counts.get(text) ?? 0) + count);
  return counts;
}
