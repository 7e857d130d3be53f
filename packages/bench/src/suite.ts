/**
 * Runs plans: for each plan and round one fresh cluster a side, in turn (A B A B), every step once. Returns the
 * samples; a step that fails ends the run with its reason. Whatever happens, no server outlives it.
 */
import { tmpdir } from 'node:os';
import type { Sample } from './compare.ts';
import type { Measured } from './measured.ts';
import type { BenchOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { Cluster, external, programOf, type ClusterOptions, type Subject } from './servers.ts';
import type { Plan } from './steps.ts';
import { describeMeasured } from './text.ts';

export class Suite {
  private readonly options: BenchOptions;
  private readonly progress: Progress;
  private readonly env: Readonly<Record<string, string | undefined>>;
  private cluster: Cluster | undefined = undefined;
  readonly samples: Sample[] = [];

  constructor(options: BenchOptions, progress: Progress, env: Readonly<Record<string, string | undefined>>) {
    this.options = options;
    this.progress = progress;
    this.env = env;
  }

  async run(plans: readonly Plan[]): Promise<readonly Sample[]> {
    const { endpoints, compareEtcd } = this.options;
    if (endpoints.length > 0) {
      for (const plan of plans) await this.steps(plan, external(endpoints), 1);
      return this.samples;
    }
    const sides = compareEtcd ? (['keelson', 'etcd'] as const) : (['keelson'] as const);
    const clusters = sides.map((side) => this.clusterOptions(side));
    const rounds = compareEtcd ? this.options.rounds : 1;
    for (const plan of plans) {
      for (let round = 1; round <= rounds; round++) {
        for (const options of clusters) await this.once(plan, options, round);
      }
    }
    return this.samples;
  }

  /** Kills the servers of a run that was interrupted. */
  async dispose(): Promise<void> {
    this.progress.clear();
    const { cluster } = this;
    this.cluster = undefined;
    await cluster?.dispose();
  }

  private async once(plan: Plan, options: ClusterOptions, round: number): Promise<void> {
    const cluster = await Cluster.prepare(options);
    this.cluster = cluster;
    try {
      if (plan.cold !== true) {
        this.progress.phase(`${options.side}: starting ${options.members} members`);
        cluster.spawn();
        await cluster.serving();
      }
      await this.steps(plan, cluster, round);
    } finally {
      await this.dispose();
    }
  }

  private async steps(plan: Plan, subject: Subject, round: number): Promise<void> {
    for (const step of plan.steps) {
      this.progress.phase(`${subject.side} ${step.title}${this.options.compareEtcd ? ` [${round}]` : ''}`);
      const measured: Measured = await step.run(subject, step.settings, this.progress);
      this.samples.push({ step: step.id, title: step.title, side: subject.side, round, measured });
      this.progress.done(describeMeasured(measured));
    }
  }

  private clusterOptions(side: 'keelson' | 'etcd'): ClusterOptions {
    const { members, directory, serverFlags, keelsonFlags, settings } = this.options;
    return {
      side,
      program: programOf(side, this.env),
      members,
      directory: directory ?? tmpdir(),
      flags: side === 'keelson' ? [...serverFlags, ...keelsonFlags] : serverFlags,
      transport: settings.transport,
    };
  }
}
