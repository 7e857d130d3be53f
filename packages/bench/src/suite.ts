/**
 * Runs plans: rounds in which each side takes its turn (A B, A B). Sides are up one after the other, each on a fresh
 * cluster, or, where a plan says so, all at once, taking turns step by step: who does not have the turn must then be
 * still first. A step that fails ends the run with its reason. Whatever happens, no server outlives it.
 */
import { tmpdir } from 'node:os';
import type { Sample } from './compare.ts';
import { readCredentials } from './credentials.ts';
import type { Measured } from './measured.ts';
import type { BenchOptions } from './options.ts';
import { COLD_STEP, type Plan, type Step } from './plans.ts';
import { saveFlameGraphs, type Profiled } from './profiling/profiling.ts';
import { programOf } from './program.ts';
import type { Progress } from './progress.ts';
import { soak, type SoakResult } from './soak/soak.ts';
import { Cluster, external, type ClusterOptions, type Subject } from './servers.ts';
import { describeMeasured } from './text.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Who takes turns. @throws RangeError when a program is missing */
export function contenders(options: BenchOptions, env: Environment): ClusterOptions[] {
  const { members, directory, serverFlags, keelsonFlags, settings, tls, compareEtcd, workload } = options;
  const common = {
    members,
    directory: directory ?? tmpdir(),
    transport: settings.transport,
    tls,
    profiled: false,
  };
  const retention = [
    '--auto-compaction-mode=periodic',
    `--auto-compaction-retention=${options.soak.retention}`,
  ];
  const flags = [...(workload === 'soak' ? retention : []), ...serverFlags];
  const ours: ClusterOptions = {
    ...common,
    label: 'keelson',
    program: programOf('keelson', env),
    flags: [...flags, ...keelsonFlags],
    profiled: options.profile !== undefined,
  };
  const sides = [ours];
  if (workload === 'transports') {
    sides.push({ ...ours, label: 'keelson grpc-js', flags: [...ours.flags, '--rpc-transport=grpc-js'] });
  }
  if (compareEtcd) sides.push({ ...common, label: 'etcd', program: programOf('etcd', env), flags });
  return sides;
}

/** A tick of the kernel's accounting is 10 ms. */
const STILL_LOOK_MS = 200;
/** A twentieth of a core: what some members at rest need. */
const STILL_CPU_SECONDS = (0.05 * STILL_LOOK_MS) / 1000;
const STILL_LIMIT_MS = 2000;

export class Suite {
  private readonly options: BenchOptions;
  private readonly progress: Progress;
  private readonly env: Environment;
  private readonly clusters = new Set<Cluster>();
  private readonly samples: Sample[] = [];
  private stopped = false;
  private stepsLeft = 0;

  constructor(options: BenchOptions, progress: Progress, env: Environment) {
    this.options = options;
    this.progress = progress;
    this.env = env;
  }

  async run(plans: readonly Plan[]): Promise<readonly Sample[]> {
    const { endpoints, authority, certificate, key } = this.options;
    if (endpoints.length > 0) {
      const tls = authority === undefined ? undefined : readCredentials(authority, certificate, key);
      const subject = external(endpoints, tls);
      this.stepsLeft = plans.reduce((sum, { steps }) => sum + steps.length, 0);
      for (const { steps } of plans) for (const step of steps) await this.step(step, subject, 1);
      return this.samples;
    }
    const sides = contenders(this.options, this.env);
    const rounds = sides.length > 1 ? this.options.rounds : 1;
    for (const { steps } of plans) {
      const once = steps.filter((step) => step.once === true).length;
      this.stepsLeft += sides.length * (once + (steps.length - once) * rounds);
    }
    for (const plan of plans) {
      for (let round = 1; round <= rounds; round++) {
        if (plan.together === true) await this.turns(plan, sides, round);
        else for (const side of sides) await this.turns(plan, [side], round);
      }
    }
    return this.samples;
  }

  /** Each side in turn, once. */
  async soak(): Promise<SoakResult[]> {
    const results: SoakResult[] = [];
    for (const side of contenders(this.options, this.env)) {
      this.progress.phase(`${side.label}: starting ${side.members} members`);
      const cluster = await Cluster.start(side, (made) => this.keep(made));
      try {
        results.push(await soak(cluster, this.options, this.progress));
      } finally {
        await this.end(cluster);
      }
    }
    return results;
  }

  /** Kills the servers, also of a run that is under way and was interrupted. */
  async dispose(): Promise<void> {
    this.stopped = true;
    this.progress.clear();
    await Promise.all(Array.from(this.clusters, (cluster) => cluster.dispose()));
    this.clusters.clear();
  }

  /** Every step of a plan on a fresh cluster of each side. */
  private async turns(plan: Plan, sides: readonly ClusterOptions[], round: number): Promise<void> {
    const steps = plan.steps.filter((step) => round === 1 || step.once !== true);
    const cold = steps[0]?.id === COLD_STEP;
    const clusters: Cluster[] = [];
    const profiled = new Map<Cluster, Profiled[]>();
    try {
      for (const side of sides) {
        if (cold) {
          const cluster = await Cluster.prepare(side);
          this.keep(cluster);
          clusters.push(cluster);
          continue;
        }
        this.progress.phase(`${side.label}: starting ${side.members} members`);
        clusters.push(await Cluster.start(side, (made) => this.keep(made)));
      }
      for (const step of steps) {
        for (const cluster of clusters) {
          if (step.id !== COLD_STEP) await this.still(clusters);
          const { windowUs } = await this.step(step, cluster, round);
          if (windowUs === undefined) continue;
          profiled.set(cluster, [...(profiled.get(cluster) ?? []), { step: step.id, windowUs }]);
        }
      }
      const { profile } = this.options;
      if (profile !== undefined && round === 1) {
        for (const [cluster, windows] of profiled) await this.flames(cluster, windows, profile);
      }
    } finally {
      for (const cluster of clusters) await this.end(cluster);
    }
  }

  /** From now on its end is assured. @throws Error when the run was stopped meanwhile */
  private keep(cluster: Cluster): void {
    this.clusters.add(cluster);
    if (this.stopped) throw new Error('stopped');
  }

  private async flames(cluster: Cluster, windows: readonly Profiled[], directory: string): Promise<void> {
    this.progress.phase(`${cluster.label}: flame graphs`);
    const files = await saveFlameGraphs(cluster, windows, directory);
    this.progress.done(files.length === 0 ? 'none: no profiles were left' : files.join(', '));
  }

  private async end(cluster: Cluster): Promise<void> {
    this.clusters.delete(cluster);
    await cluster.dispose();
  }

  /** Until nobody computes any more: what a load leaves behind is not charged to the next. */
  private async still(subjects: readonly Subject[]): Promise<void> {
    const spent = (): number =>
      subjects.reduce(
        (sum, subject) => sum + subject.usage().reduce((all, { cpuSeconds }) => all + cpuSeconds, 0),
        0,
      );
    const deadlineMs = performance.now() + STILL_LIMIT_MS;
    for (let before = spent(); performance.now() < deadlineMs;) {
      await new Promise((resolve) => setTimeout(resolve, STILL_LOOK_MS));
      const now = spent();
      if (now - before <= STILL_CPU_SECONDS) return;
      before = now;
    }
  }

  private async step(step: Step, subject: Subject, round: number): Promise<Measured> {
    const left = this.stepsLeft > 1 ? ` (${this.stepsLeft} to go)` : '';
    const turn = this.options.compareEtcd ? ` [${round}]` : '';
    this.progress.phase(`${subject.label} ${step.title}${turn}`, left);
    const measured: Measured = await step.run(subject, step.settings, this.progress);
    this.stepsLeft--;
    this.samples.push({ step: step.id, title: step.title, side: subject.label, round, measured });
    this.progress.done(describeMeasured(measured));
    return measured;
  }
}
