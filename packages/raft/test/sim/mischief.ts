/**
 * What goes wrong besides the network: processes end, pause and start again, clocks drift, disks are slow.
 * Each act is counted by its kind when it really happened. It decides when; the cluster does it.
 */
import { Prng } from '@keelson/base';
import { Role } from '../../src/index.ts';
import type { SimNode } from './node.ts';
import type { Fault } from './options.ts';
import type { World } from './world.ts';

/** An act every 10 to 70 units: about one a leader's life at electionTick 5. */
const EVERY_MIN = 10;
const EVERY_SPREAD = 60;
/** Of the places between two effects, one in so many is where a node ends. */
const EFFECTS_PER_CRASH = 1500;
const DOWN_MAX = 300;
/** What happens to one node, of itself; the first faces of the dice. */
const AT_A_NODE = ['crash', 'pause', 'slowDisk', 'skew'] as const satisfies readonly Fault[];

export class Mischief {
  private readonly cluster: World;
  private readonly prng: Prng;

  constructor(cluster: World, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xbad);
    this.again();
    this.weather(true);
  }

  /** Storms and calms take turns: in a calm a cluster gets on with its work, and has something to lose. */
  private weather(storm: boolean): void {
    const { cluster, prng } = this;
    cluster.calm = !storm;
    if (cluster.calm) cluster.network.heal();
    const lasts = storm
      ? prng.between(200, 1200)
      : cluster.overdue
        ? prng.between(500, 3000)
        : prng.between(50, 400);
    cluster.scheduler.later(lasts, 'weather', 0, () => {
      if (!cluster.healed) this.weather(!storm);
    });
  }

  private again(): void {
    const delay = EVERY_MIN + this.prng.below(EVERY_SPREAD);
    this.cluster.scheduler.later(delay, 'fault', 0, () => {
      if (this.cluster.healed) return;
      this.again();
      this.act();
    });
  }

  private act(): void {
    const { cluster, prng } = this;
    const running = cluster.running();
    if (running.length === 0) return;
    const node = prng.pick(running);
    const dice = prng.below(10);
    const fault = AT_A_NODE[dice];
    if (fault !== undefined && cluster.on(fault)) {
      this.strike(node, fault);
    } else if (dice === 4 && cluster.on('partition')) {
      cluster.network.partition([...cluster.nodes.keys()]);
    } else if (dice === 5 && cluster.on('clog')) {
      cluster.network.clog(node.id, prng.pick([...cluster.nodes.keys()]), prng.between(10, 300));
    } else if (dice > 5) {
      cluster.network.mend();
    }
  }

  private strike(node: SimNode, fault: (typeof AT_A_NODE)[number]): void {
    const { cluster, prng } = this;
    cluster.count(`fault:${fault}`);
    if (fault === 'crash') this.crash(node);
    // From a collection's pause to one that outlasts several elections.
    else if (fault === 'pause') node.pausedUntil = cluster.scheduler.now + prng.pick([10, 40, 400, 1000]);
    else if (fault === 'slowDisk') node.slowUntil = cluster.scheduler.now + prng.between(50, 800);
    else node.tickUnits = prng.between(7, 14);
  }

  /** The seed has been spared too long: the first of its kinds that `happened` denies happens now, calm or not. */
  compel(happened: (fault: Fault) => boolean): void {
    const { cluster, prng } = this;
    const running = cluster.running();
    const fault = AT_A_NODE.find((each) => cluster.options.faults.has(each) && !happened(each));
    if (fault !== undefined && running.length > 0) this.strike(prng.pick(running), fault);
  }

  /** Between two effects of a node: true when it ends here. */
  crashes(node: SimNode): boolean {
    if (!this.cluster.on('crashBetweenEffects') || this.prng.below(EFFECTS_PER_CRASH) > 0) return false;
    this.cluster.count('fault:crashBetweenEffects');
    this.cluster.reach('crash between two effects');
    this.crash(node);
    return true;
  }

  private crash(node: SimNode): void {
    const { cluster, prng } = this;
    if (node.core.role === Role.Leader) {
      cluster.reach('leader crashed');
      if (node.core.tracker.config.outgoing.length > 0) cluster.reach('leader crashed in a joint membership');
    }
    node.crash(prng, cluster.on('lostWrite'));
    this.restartLater(node);
  }

  private restartLater(node: SimNode): void {
    const { cluster, prng } = this;
    cluster.scheduler.later(1 + prng.below(DOWN_MAX), 'restart', node.place, () => {
      if (node.up || !cluster.mayStart(node)) return;
      cluster.start(node);
      if (!cluster.on('crashInRecovery') || !prng.chance(1, 5)) return;
      // It ends again before it has done anything, or with what it just began.
      cluster.count('fault:crashInRecovery');
      cluster.reach('crash during recovery');
      if (prng.chance(1, 2)) cluster.turn(node);
      if (node.up) this.crash(node);
    });
  }
}
