/**
 * What goes wrong besides the network: processes end, pause and start again, machines lose power, clocks drift and jump,
 * disks are slow, full, broken or rot, data directories are lost, clients are cut off or slow. Each act is counted by its
 * kind when it really happened. It decides when; who looks after the machines afterwards is the operator.
 */
import { Prng } from '@keelson/base';
import type { Show } from './show.ts';
import type { SimMember } from './member.ts';
import type { Fault } from './options.ts';

/** Of the places between two effects of a process, one in so many is where it ends. */
const EFFECTS_PER_CRASH = 4000;
/** The same while it starts, where there are few. */
const EFFECTS_PER_RECOVERY_CRASH = 60;
const HOUR_MS = 3_600_000;
const BULLETIN_MS = 300;
/** Of a clock that drifts, at most. */
const DRIFT_PERMILLE = 50;
/** Times are whole milliseconds, so it may seem a little faster. */
export const FASTEST_CLOCK = 1 + (DRIFT_PERMILLE + 2) / 1000;
/** What happens to one machine that runs. */
const AT_A_MACHINE = [
  'crash',
  'powerLoss',
  'pause',
  'skew',
  'clockStep',
  'slowDisk',
  'syncError',
  'readError',
  'writeError',
  'diskFull',
  'bitRot',
  'misdirected',
  'backendRot',
  'wipe',
] as const satisfies readonly Fault[];
type MachineFault = (typeof AT_A_MACHINE)[number];

export class Mischief {
  /** No new fault happens for a while: a cluster gets on with its work, and has something to lose. */
  calm = false;
  private readonly cluster: Show;
  private readonly prng: Prng;

  constructor(cluster: Show, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xbad);
    cluster.scheduler.later(3000, 'weather', 0, () => this.weather(true));
    this.again();
    this.bulletin();
  }

  /** The history is told when there is something the matter: laws about a cluster that is left alone do not count then. */
  private bulletin(): void {
    const { cluster } = this;
    cluster.scheduler.later(BULLETIN_MS, 'bulletin', 0, () => {
      if (cluster.healed) return;
      const { now } = cluster.scheduler;
      const ill = (member: SimMember): boolean =>
        !member.retired && (member.pausedUntil > now || member.slowUntil > now || member.fullUntil > now);
      if (!this.calm || cluster.members.some(ill)) cluster.recorder.fact({ type: 'fault', name: 'weather' });
      this.bulletin();
    });
  }

  private weather(storm: boolean): void {
    const { cluster, prng } = this;
    if (cluster.healed) return;
    this.calm = !storm;
    if (this.calm) cluster.wires.network.heal();
    const lasts = storm ? prng.between(2000, 15_000) : prng.between(1000, 6000);
    cluster.scheduler.later(lasts, 'weather', 0, () => this.weather(!storm));
  }

  private again(): void {
    const { cluster, prng } = this;
    cluster.scheduler.later(1 + prng.below(cluster.options.faultEvery * 2), 'fault', 0, () => {
      if (cluster.healed) return;
      this.again();
      this.act();
    });
  }

  private act(): void {
    const { cluster, prng } = this;
    const running = cluster.running();
    if (running.length === 0) return;
    const kinds = [...cluster.options.faults].filter((fault) => cluster.on(fault));
    if (kinds.length === 0) return;
    const fault = prng.pick(kinds);
    const member = prng.pick(running);
    const { network } = cluster.wires;
    const places = cluster.members.filter((each) => !each.retired).map((each) => each.place);
    if ((AT_A_MACHINE as readonly string[]).includes(fault)) this.strike(member, fault as MachineFault);
    else if (fault === 'partition') {
      network.partition(places);
      cluster.scheduler.later(prng.between(500, 12_000), 'mend', 0, () => network.mend());
    } else if (fault === 'clog') network.clog(member.place, prng.pick(places), prng.between(100, 4000));
    else if (fault === 'blackout') this.blackout();
    else if (fault === 'clientReset') cluster.clients.reset(prng);
    else if (fault === 'slowClient') cluster.clients.slow(prng);
    else if (fault === 'clientPartition') cluster.clients.cutOff(prng);
  }

  private strike(member: SimMember, fault: MachineFault): void {
    const { cluster, prng } = this;
    const { now } = cluster.scheduler;
    switch (fault) {
      case 'crash':
        cluster.happened(fault, member.name);
        this.end(member, false);
        break;
      case 'powerLoss':
        cluster.happened(fault, member.name);
        cluster.reach('power lost with unsynced data');
        this.end(member, true);
        break;
      case 'pause':
        cluster.happened(fault, member.name);
        cluster.reach('late timers in a burst');
        // From a collection's pause to one that outlasts several elections.
        member.pausedUntil = now + prng.pick([100, 500, 3000, 10_000, 60_000]);
        break;
      case 'skew':
        cluster.happened(fault, member.name);
        member.life?.drift(
          1 + prng.between(-DRIFT_PERMILLE, cluster.options.fastClocks ? DRIFT_PERMILLE : 0) / 1000,
        );
        break;
      case 'clockStep':
        cluster.happened(fault, member.name);
        cluster.reach('wall clock stepped');
        member.wallOffsetMs += prng.between(-HOUR_MS, HOUR_MS);
        break;
      case 'slowDisk':
        cluster.happened(fault, member.name);
        member.slowUntil = now + prng.between(500, 8000);
        break;
      case 'syncError':
        // Counted when a sync fails.
        member.syncFails = prng.pick(['log', 'any'] as const);
        break;
      case 'readError':
        // Counted when something is read: mostly at the next start.
        member.readFails = true;
        if (prng.chance(1, 2)) this.end(member, false);
        break;
      case 'writeError':
        member.writeFails = true;
        break;
      case 'diskFull':
        member.fullUntil = now + prng.between(100, 3000);
        break;
      case 'bitRot':
      case 'misdirected':
      case 'backendRot':
      case 'wipe':
        this.damage(member, fault);
        break;
    }
  }

  /** A machine that loses data, or has it changed: as many as the others can make up for. */
  private damage(member: SimMember, fault: 'bitRot' | 'misdirected' | 'backendRot' | 'wipe'): void {
    const { cluster, prng } = this;
    if (!cluster.operator.mayDamage(member)) return;
    this.end(member, true, false);
    if (fault === 'wipe') {
      cluster.happened('wipe', member.name);
      cluster.operator.lost(member);
      return;
    }
    if (fault === 'backendRot') {
      cluster.happened(fault, member.name);
      member.damaged = 'backend';
      member.platter.rot();
      cluster.operator.startIn(member, prng.between(100, 2000));
      return;
    }
    const path = this.rottenFile(member);
    if (path === undefined || (fault === 'misdirected' && !this.misdirect(member, path))) {
      cluster.operator.startIn(member, 100);
      return;
    }
    cluster.happened(fault, `${member.name} ${path}`);
    member.damaged = fault === 'misdirected' ? 'misdirected' : 'log';
    if (fault === 'misdirected') {
      cluster.operator.startIn(member, prng.between(100, 2000));
      return;
    }
    const size = member.disk.sizeOf(path);
    // What is read at a start is mostly at a file's beginning.
    const offset = prng.chance(1, 2) ? prng.below(Math.max(1, Math.min(size, 2000))) : prng.below(size);
    for (let i = prng.pick([1, 1, 8]); i > 0; i--)
      member.disk.flip(path, Math.min(size - 1, offset + i), 1 << prng.below(8));
    cluster.operator.startIn(member, prng.between(100, 2000));
  }

  /**
   * A sector of a file was written over another one. Not over its last ones: that nothing behind them is gone too cannot be told
   * from a torn write (docs/disk-faults.md).
   */
  private misdirect(member: SimMember, path: string): boolean {
    const { prng } = this;
    const sectors = member.disk.filledSectors(path);
    if (sectors.length < 4) return false;
    const from = prng.pick(sectors);
    const to = sectors[prng.below(sectors.length - 2)];
    return member.disk.copySector(path, from, to);
  }

  private rottenFile(member: SimMember): string | undefined {
    const files = member.disk
      .paths()
      .filter((path) => /\.(wal|snap)$/.test(path) && member.disk.sizeOf(path) > 0);
    return files.length === 0 ? undefined : this.prng.pick(files);
  }

  private blackout(): void {
    const { cluster, prng } = this;
    const power = prng.chance(2, 3);
    let ended = 0;
    for (const member of cluster.members) {
      if (member.life === undefined) continue;
      ended++;
      this.end(member, power);
    }
    if (ended === 0) return;
    cluster.happened('blackout');
    cluster.reach('all members down at once');
  }

  /** Between two effects of a process: true when it ends here. */
  crashesHere(member: SimMember): boolean {
    const { cluster, prng } = this;
    if (member.phase === 'starting') {
      if (!cluster.on('crashInRecovery') || prng.below(EFFECTS_PER_RECOVERY_CRASH) > 0) return false;
      cluster.happened('crashInRecovery', member.name);
      if (member.starts > 1) cluster.reach('crash in recovery');
    } else {
      if (!cluster.on('crashBetweenEffects') || prng.below(EFFECTS_PER_CRASH) > 0) return false;
      cluster.happened('crashBetweenEffects', member.name);
      cluster.reach('crash between two effects');
    }
    this.end(member, prng.chance(1, 2));
    return true;
  }

  private end(member: SimMember, powerLost: boolean, restarts = true): void {
    const { cluster, prng } = this;
    if (member.server?.replica.isLeader === true) cluster.operator.leaderDied();
    member.crash(prng, powerLost);
    if (restarts) cluster.operator.startIn(member, prng.pick([10, 200, 2000, 8000]));
  }
}
