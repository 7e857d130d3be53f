/**
 * What every overload scenario stands on: a member as its own process, somebody else's client (beside.ts) whose service is
 * measured all the while, and the member's resident memory, sampled. A scenario attacks; the stage judges: memory within the
 * stated bound, nobody else refused, the same leader and term as before. It measures latency and never judges by it.
 */
import { memoryOf } from '../harness/memory.ts';
import { MemberApi } from '../harness/member-api.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { Beside } from './beside.ts';
import { summarize } from '../harness/statistics.ts';
import { RpcError, statusName } from '@keelson/rpc';

const SAMPLE_MS = 100;

export interface StageOptions {
  readonly binary: string;
  readonly members: number;
  readonly flags: readonly string[];
  readonly tls?: boolean;
}

/** One scenario: what it does to a member, within which memory. */
export interface Scenario {
  readonly name: string;
  /** What is done, in one line, for the table. */
  readonly attack: string;
  /** Resident memory the member may have at any moment of it, and why so much. */
  readonly rssMbMax: number;
  readonly flags?: readonly string[];
  readonly tls?: boolean;
  /** @returns figures of its own, by name. @throws Error when what must hold does not */
  readonly run: (stage: Stage) => Promise<Record<string, string | number>>;
  /** Sizes, for a shorter run: 1 is the whole. */
  readonly scale?: number;
}

export interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly rssMb: {
    readonly before: number;
    readonly peak: number;
    readonly after: number;
    readonly max: number;
  };
  /** Of the client beside: calls answered, calls put off ("too many requests", "request timed out"), median, 99th percentile and worst, ms. */
  readonly beside: {
    readonly calls: number;
    readonly putOff: number;
    readonly median: number;
    readonly p99: number;
    readonly max: number;
  };
  readonly figures: Record<string, string | number>;
  /** What did not hold; empty when all did. */
  readonly broken: readonly string[];
}

export class Stage {
  readonly cluster: ProcessCluster;
  /** 1, or less for a shorter run: scenarios multiply their counts by it. */
  readonly scale: number;
  private readonly closers: (() => void)[] = [];

  constructor(cluster: ProcessCluster, scale: number) {
    this.cluster = cluster;
    this.scale = scale;
  }

  get address(): string {
    return this.cluster.members[0].address;
  }

  get api(): MemberApi {
    return this.cluster.api(0);
  }

  count(whole: number): number {
    return Math.max(1, Math.round(whole * this.scale));
  }

  /** One more client with a connection of its own, closed with the stage. */
  client(): MemberApi {
    const api = new MemberApi(this.address, this.cluster.tls?.dial);
    this.onEnd(() => api.close());
    return api;
  }

  onEnd(close: () => void): void {
    this.closers.push(close);
  }

  rssMb(): number {
    return memoryOf(this.cluster.members[0].pid)?.rss ?? NaN;
  }

  end(): void {
    for (const close of this.closers.splice(0)) close();
  }
}

/** Counts outcomes of calls: "ok", or the error's code and text. */
export class Outcomes {
  readonly counts = new Map<string, number>();

  async of(call: Promise<unknown>): Promise<boolean> {
    let outcome = 'ok';
    try {
      await call;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      outcome = `${statusName(error.code)}: ${error.message}`;
    }
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
    return outcome === 'ok';
  }

  get ok(): number {
    return this.counts.get('ok') ?? 0;
  }

  refused(text: RegExp): number {
    let sum = 0;
    for (const [outcome, count] of this.counts) if (text.test(outcome)) sum += count;
    return sum;
  }

  toString(): string {
    return [...this.counts].map(([outcome, count]) => `${outcome} ×${count}`).join('; ');
  }
}

/** Runs a scenario on a member of its own. */
export async function perform(scenario: Scenario, options: StageOptions, scale: number): Promise<Result> {
  const cluster = await ProcessCluster.start({
    binary: options.binary,
    size: options.members,
    flags: [...options.flags, ...(scenario.flags ?? [])],
    tls: scenario.tls ?? false,
  });
  try {
    return await measured(scenario, new Stage(cluster, scale), cluster);
  } finally {
    await cluster.dispose();
  }
}

async function measured(scenario: Scenario, stage: Stage, cluster: ProcessCluster): Promise<Result> {
  const broken: string[] = [];
  const before = await stage.api.status();
  const rssBefore = stage.rssMb();
  let peak = rssBefore;
  const sampler = setInterval(() => {
    peak = Math.max(peak, stage.rssMb() || 0);
  }, SAMPLE_MS);
  const beside = new Beside(stage.address, cluster.tls);
  const startedMs = performance.now();
  let figures: Record<string, string | number> = {};
  try {
    figures = await scenario.run(stage);
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error));
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const { latenciesMs: latencies, putOff, failures } = await beside.stop();
  clearInterval(sampler);
  stage.end();
  try {
    cluster.assertAllRun();
    const after = await stage.api.status(10_000);
    if (after.raftTerm !== before.raftTerm || after.leader !== before.leader)
      broken.push(`term ${before.raftTerm} became ${after.raftTerm}: the leader changed`);
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error));
  }
  broken.push(...failures.map((text) => `the client beside: ${text}`));
  if (!(peak <= scenario.rssMbMax))
    broken.push(`${Math.round(peak)} MB, and ${scenario.rssMbMax} are the bound`);
  const { median, p99, max } = summarize(latencies.length > 0 ? latencies : [NaN]);
  return {
    name: scenario.name,
    seconds,
    rssMb: { before: rssBefore, peak, after: stage.rssMb(), max: scenario.rssMbMax },
    beside: { calls: latencies.length, putOff, median, p99, max },
    figures,
    broken,
  };
}
