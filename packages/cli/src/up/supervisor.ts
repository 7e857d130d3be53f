/**
 * Starts members and the API server before them, waits until all serve, tells when one ends, and stops them. It prints nothing and restarts
 * nothing by itself: what to do about a member that ended is its user's to say.
 */
import type { Clock } from '@keelson/base';
import { Member, describeExit, type MemberExit, type MemberSpec } from './member.ts';
import type { MemberStatus, Probe } from './probe.ts';
import { UpError } from './up-error.ts';

/** A log is read this often while its member starts: a fiftieth of the second that starting may take. */
const READY_POLL_MS = 10;
/** One try of the read that proves a quorum; another follows at once. */
const HEALTH_TIMEOUT_MS = 1000;
/** Members that get SIGTERM and do not end by then get SIGKILL. */
const STOP_GRACE_MS = 5000;
const WAITING_REPORT_MS = 10_000;

export interface SupervisorListener {
  /** A member ended after all were ready, and nobody asked it to. */
  exited(member: Member, exit: MemberExit): void;
  /** Starting takes long; called now and then. */
  waitingFor(members: readonly Member[]): void;
  /** A member ignored SIGTERM and was killed. */
  killed(member: Member): void;
}

export interface MemberReport {
  readonly member: Member;
  readonly healthy: boolean;
  readonly status: MemberStatus | undefined;
}

interface Watched {
  readonly member: Member;
  readonly probe: Probe;
}

export class Supervisor {
  readonly members: readonly Member[];
  private readonly watched: readonly Watched[];
  private readonly env: Readonly<Record<string, string | undefined>>;
  private readonly clock: Clock;
  private readonly listener: SupervisorListener;
  private stopping = false;

  constructor(
    specs: readonly MemberSpec[],
    env: Readonly<Record<string, string | undefined>>,
    probes: (spec: MemberSpec) => Probe,
    clock: Clock,
    listener: SupervisorListener,
  ) {
    this.watched = specs.map((spec) => ({ member: new Member(spec), probe: probes(spec) }));
    this.members = this.watched.map(({ member }) => member);
    this.env = env;
    this.clock = clock;
    this.listener = listener;
  }

  /**
   * Starts all members at once; resolves when each serves. After a failure or `stop`, the others still run:
   * call `stop`.
   * @throws UpError when one ends before that; its last words are in the message
   */
  async start(): Promise<void> {
    const startMs = this.clock.monotonicMs();
    for (const member of this.members) member.start(this.env);
    const ready = new Set<Member>();
    let reportMs = startMs + WAITING_REPORT_MS;
    const waits = this.watched.map(async (watched) => {
      await this.untilReady(watched, () => {
        const nowMs = this.clock.monotonicMs();
        if (nowMs < reportMs) return;
        reportMs = nowMs + WAITING_REPORT_MS;
        this.listener.waitingFor(this.members.filter((member) => !ready.has(member)));
      });
      ready.add(watched.member);
    });
    await Promise.all(waits);
    if (this.stopping) return;
    for (const member of this.members) this.watchExit(member);
  }

  /** Starts again those that ended, or of them those of these names. @returns them */
  restartEnded(names?: readonly string[]): Member[] {
    if (this.stopping) return [];
    const ended = this.members.filter(
      (member) => member.exit !== undefined && (names === undefined || names.includes(member.name)),
    );
    for (const member of ended) {
      member.start(this.env);
      this.watchExit(member);
    }
    return ended;
  }

  /** Waits until a member that was started again serves. @returns false when it ended instead, or all are to stop */
  async serves(member: Member): Promise<boolean> {
    const watched = this.watched.find((each) => each.member === member);
    const { pid } = member;
    while (watched !== undefined && !this.stopping && pid !== undefined && member.pid === pid) {
      if (member.saysReady() && (await watched.probe.healthy(HEALTH_TIMEOUT_MS))) return !this.stopping;
      await this.pause(READY_POLL_MS);
    }
    return false;
  }

  /** Asks every member, also those whose process ended: someone may run them elsewhere. */
  report(timeoutMs: number): Promise<MemberReport[]> {
    return Promise.all(
      this.watched.map(async ({ member, probe }) => {
        const [healthy, status] = await Promise.all([probe.healthy(timeoutMs), probe.status(timeoutMs)]);
        return { member, healthy, status };
      }),
    );
  }

  /**
   * Stops all members: SIGTERM at once, SIGKILL to those that are still there after five seconds. The API server goes
   * first: what it answers last it still reads from the store.
   */
  async stop(): Promise<void> {
    this.stopping = true;
    for (const { probe } of this.watched) probe.close();
    await this.stopAll('apiserver');
    await this.stopAll('store');
  }

  private async stopAll(kind: MemberSpec['kind']): Promise<void> {
    const running = this.members.filter(({ pid, spec }) => pid !== undefined && spec.kind === kind);
    for (const member of running) member.signal('SIGTERM');
    const timer = this.clock.setTimer(STOP_GRACE_MS, () => {
      for (const member of running) {
        if (member.pid === undefined) continue;
        this.listener.killed(member);
        member.signal('SIGKILL');
      }
    });
    await Promise.all(running.map((member) => member.exited));
    timer.cancel();
  }

  /** Ends at once what still runs. */
  kill(): void {
    for (const member of this.members) member.signal('SIGKILL');
  }

  private async untilReady({ member, probe }: Watched, waiting: () => void): Promise<void> {
    while (!this.stopping) {
      const { exit } = member;
      if (exit !== undefined) throw this.failedStart(member, exit);
      if (member.saysReady() && (await probe.healthy(HEALTH_TIMEOUT_MS))) return;
      waiting();
      await this.pause(READY_POLL_MS);
    }
  }

  private failedStart(member: Member, exit: MemberExit): UpError {
    const { grave, last } = member.lastWords();
    const words = grave ?? last;
    const reason = words === undefined ? '' : `: ${words}`;
    return new UpError(
      `${member.name} ${describeExit(exit)} before it was ready, see ${member.spec.logFile}${reason}`,
    );
  }

  private watchExit(member: Member): void {
    void member.exited.then((exit) => {
      if (!this.stopping) this.listener.exited(member, exit);
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(ms, resolve);
    });
  }
}
