/**
 * Clients and operators: proposals (never made twice), reads (asked again with a new context until they are
 * answered), membership changes, transfers, and whatever else an operator may ask at a bad moment. After the
 * faults stop they make a few last proposals, wait for their reads, and fall silent.
 */
import { EMPTY, Prng } from '@keelson/base';
import { law } from '@keelson/sim';
import {
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeSingle,
  type Entry,
  type NodeId,
  NONE,
  Role,
} from '../../src/index.ts';
import type { SimNode } from './node.ts';
import { TICK_UNITS } from './options.ts';
import type { World } from './world.ts';

const READS_MAX = 20;
/** Entries of a node's log that are not yet applied there, beyond which clients hold back, as etcd refuses. */
const BACKLOG_MAX = 40;
/** Proposals that must get through after the faults stopped. */
const LAST_PROPOSALS = 3;

interface Read {
  readonly name: string;
  node: SimNode;
  attempts: number;
  /** Who led, as the asked node saw it, at the first attempt that had a leader. */
  lead: NodeId;
  answered: boolean;
}

export class Clients {
  private readonly cluster: World;
  private readonly prng: Prng;
  private readonly reads = new Set<Read>();
  private readonly attempts = new Map<string, Read>();
  /** Data of proposals that the core refused: they must never be applied. */
  private readonly refused = new Set<string>();
  private readonly last = new Set<string>();
  private serial = 0;
  private healed = false;

  constructor(cluster: World, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xc11e);
    this.again();
  }

  /** Nothing is waiting and the last proposals got through. */
  get satisfied(): boolean {
    return this.healed && this.reads.size === 0 && this.last.size >= LAST_PROPOSALS;
  }

  /** What they still wait for. */
  describe(): string {
    return `${this.reads.size} reads wait, ${this.last.size} of ${LAST_PROPOSALS} last proposals applied`;
  }

  heal(): void {
    this.healed = true;
  }

  private again(): void {
    const { cluster, prng } = this;
    const delay = this.healed ? 3 * TICK_UNITS : 1 + prng.below(cluster.options.clientMax);
    cluster.scheduler.later(delay, 'client', 0, () => {
      if (this.satisfied) return;
      this.again();
      this.act();
    });
  }

  private act(): void {
    const { cluster, prng } = this;
    const running = cluster.running();
    if (running.length === 0) return;
    const node = prng.pick(running);
    if (this.healed) {
      if (this.last.size < LAST_PROPOSALS) this.propose(node, 'last');
      return;
    }
    const leaders = running.filter((each) => each.core.role === Role.Leader);
    const leader = leaders.length > 0 ? prng.pick(leaders) : node;
    if (cluster.overdue) {
      // What a seed still lacks is most often a change, and changes find no room under load.
      if (prng.chance(1, 2)) this.changeMembership(leader);
      else if (prng.chance(1, 8)) this.propose(leader, 'p');
      return;
    }
    const dice = prng.below(100);
    if (dice === 0) this.addWhoLeft(leader);
    else if (dice < 60) this.propose(prng.chance(3, 4) ? leader : node, 'p');
    else if (dice < 80) this.read(node);
    else if (dice < 92) this.changeMembership(leader);
    else if (dice < 96) cluster.transfer(prng.chance(1, 2) ? leader : node, prng.pick(running).id);
    else if (dice < 97) cluster.forget(node);
    else cluster.campaign(node);
  }

  private propose(node: SimNode, name: string): void {
    const { cluster, prng } = this;
    const batch = Array.from({ length: prng.between(1, 3) }, () => `${name}${this.serial++}`);
    const { core } = node;
    if (core.log.lastIndex() - node.applied > BACKLOG_MAX) return;
    const leads = core.role === Role.Leader;
    const forwards = !leads && core.lead !== NONE;
    const limited = leads && core.leadTransferee === NONE && core.tracker.get(node.id) !== undefined;
    const outcome = node.raw.propose(batch.map((text) => Buffer.from(text)));
    if (outcome === 'ok' && forwards) cluster.reach('proposal forwarded');
    if (outcome === 'dropped') {
      for (const text of batch) this.refused.add(text);
      if (limited) cluster.reach('proposal refused for the uncommitted limit');
    }
    cluster.turn(node);
  }

  /** An entry was applied somewhere. */
  applied(entry: Entry): void {
    if (entry.data.length === 0) return;
    const text = entry.data.toString('latin1');
    law('R8', !this.refused.has(text), () => `${text} was refused and is applied at ${entry.index}`);
    if (text.startsWith('last')) this.last.add(text);
  }

  private read(node: SimNode): void {
    if (this.reads.size >= READS_MAX) return;
    const read: Read = { name: `r${this.serial++}`, node, attempts: 0, lead: NONE, answered: false };
    this.reads.add(read);
    this.ask(read);
  }

  private ask(read: Read): void {
    const { cluster, prng } = this;
    if (read.answered) return;
    const wait = TICK_UNITS * (cluster.options.electionTick + prng.below(cluster.options.electionTick));
    cluster.scheduler.later(wait, 'read again', read.node.place, () => {
      this.ask(read);
    });
    const running = cluster.running();
    if (!running.includes(read.node)) {
      if (running.length === 0) return;
      read.node = prng.pick(running);
    } else if (read.attempts > 0 && running.length > 1 && prng.chance(1, 3)) {
      read.node = prng.pick(running);
    }
    const { core } = read.node;
    if (read.lead === NONE) read.lead = core.lead;
    const context = `${read.name}.${read.attempts++}`;
    this.attempts.set(context, read);
    cluster.oracle.asked(context);
    read.node.raw.readIndex(Buffer.from(context));
    cluster.turn(read.node);
  }

  /** The core answers an attempt at `node`. */
  answered(node: SimNode, context: string, index: number): void {
    const { cluster } = this;
    cluster.oracle.answered(node.id, context, index);
    cluster.reach('read answered');
    const read = this.attempts.get(context);
    if (read === undefined || read.answered) return;
    const { lead } = node.core;
    if (read.attempts > 1 && read.lead !== NONE && lead !== NONE && lead !== read.lead) {
      cluster.reach('read retried across leaders');
    }
    read.answered = true;
    this.reads.delete(read);
  }

  /** A mistake of an operator: an id that left is named again, which the state machine must refuse. */
  private addWhoLeft(leader: SimNode): void {
    const { cluster, prng } = this;
    const left = [...cluster.oracle.membership.left];
    if (left.length === 0) return;
    const nodeId = prng.pick(left);
    leader.raw.proposeConfChange({ id: 0n, type: ConfChangeType.AddNode, nodeId, context: EMPTY });
    cluster.turn(leader);
  }

  private changeMembership(leader: SimNode): void {
    const { cluster, prng } = this;
    const { core } = leader;
    if (core.log.lastIndex() - leader.applied > BACKLOG_MAX) return;
    const { incoming, outgoing, learners } = core.tracker.config;
    const changes: ConfChangeSingle[] = [];
    const single = (type: ConfChangeType, nodeId: NodeId): void => void changes.push({ type, nodeId });
    const room = incoming.length < 7;
    if (outgoing.length === 0 || prng.chance(1, 10)) {
      for (let i = prng.pick([1, 1, 2, 3]); i > 0; i--) {
        const dice = prng.below(6);
        if (dice === 0 && room) single(ConfChangeType.AddLearnerNode, cluster.found());
        else if (dice === 1 && room) single(ConfChangeType.AddNode, cluster.found());
        else if (dice === 2 && learners.length > 0) single(ConfChangeType.AddNode, prng.pick(learners));
        else if (dice === 3 && incoming.length > 2) single(ConfChangeType.RemoveNode, prng.pick(incoming));
        else if (dice === 4 && incoming.length > 2)
          single(ConfChangeType.AddLearnerNode, prng.pick(incoming));
        else single(ConfChangeType.UpdateNode, prng.pick(incoming.length > 0 ? incoming : [leader.id]));
      }
    }
    const leaving = changes.length === 0;
    const leads = core.role === Role.Leader && core.leadTransferee === NONE;
    const before = core.pendingConfIndex;
    const [only] = changes;
    let outcome;
    if (changes.length === 1 && only !== undefined && prng.chance(1, 2)) {
      outcome = leader.raw.proposeConfChange({
        id: 0n,
        type: only.type,
        nodeId: only.nodeId,
        context: EMPTY,
      });
    } else {
      const transition = leaving ? ConfChangeTransition.Auto : prng.pick(Object.values(ConfChangeTransition));
      outcome = leader.raw.proposeConfChange({ transition, changes, context: EMPTY });
    }
    if (leads && outcome === 'ok' && core.pendingConfIndex === before) {
      cluster.reach('conf change refused by the leader');
    } else if (leads && outcome === 'ok' && leaving) {
      cluster.reach('joint membership left on request');
    }
    cluster.turn(leader);
  }
}
