/**
 * R11: who may disturb whom. What is claimed, exactly, in ticks of the node it is claimed of:
 *
 * - checkQuorum: a node that leads, or that knows a leader and heard from it within the last electionTick
 *   ticks, ignores requests for votes and pre-votes of higher terms: term, vote and role stay, nothing is
 *   answered. A request that follows from a leader's own transfer is exempt.
 * - preVote: a node raises its term to campaign only when a quorum of its membership granted it a pre-vote
 *   for that term, or when its leader told it to (MsgTimeoutNow). As in etcd, a grant for the term it is in,
 *   from a round before and late, counts as well.
 * - checkQuorum: a leader that heard from no quorum of its membership (itself counted) for 2·electionTick
 *   ticks leads no more. The count starts anew with its leadership, with a change of membership (whoever
 *   joins counts as heard) and with a request for transfer, which restarts the leader's timer.
 *
 * The first two together are why a node that was cut off and flaps does not depose a healthy leader. Without
 * the options nothing is claimed. Time is counted here, not read from the core's own timers.
 */
import { law } from '@keelson/sim';
import { type Configuration, type Message, MessageType, NONE, type NodeId, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

interface Watch {
  /** Ticks since it heard from the leader of its term. */
  silence: number;
  /** Ticks as leader of `term`; by voter, the tick at which it last answered. */
  term: number;
  ticks: number;
  baseline: number;
  config: Configuration | undefined;
  readonly heard: Map<NodeId, number>;
  /** Before the message being stepped. */
  before: { readonly term: number; readonly vote: NodeId; readonly role: Role; readonly queued: number };
  timeoutNow: boolean;
}

export class LeadershipLaws {
  private readonly watches = new Map<NodeId, Watch>();
  private readonly preVotes = new Set<string>();

  born(node: Observed): void {
    this.watches.set(node.id, {
      silence: 0,
      term: 0,
      ticks: 0,
      baseline: 0,
      config: undefined,
      heard: new Map(),
      before: { term: 0, vote: NONE, role: Role.Follower, queued: 0 },
      timeoutNow: false,
    });
  }

  /** Before a message is stepped; true when it must be ignored. */
  steps(node: Observed, message: Message): boolean {
    const { core } = node;
    const watch = this.watches.get(node.id) as Watch;
    const { type } = message;
    watch.timeoutNow = type === MessageType.TimeoutNow;
    if (type === MessageType.App || type === MessageType.Heartbeat || type === MessageType.Snap) {
      if (message.term >= core.term) watch.silence = 0;
      return false;
    }
    if (core.role === Role.Leader) this.leaderHears(node, watch, message);
    if (type !== MessageType.Vote && type !== MessageType.PreVote) return false;
    if (!core.config.checkQuorum || message.context.length > 0 || message.term <= core.term) return false;
    const healthy =
      core.role === Role.Leader || (core.lead !== NONE && watch.silence < core.config.electionTick);
    if (!healthy) return false;
    const queued = core.afterAppend.length + core.messages.length;
    watch.before = { term: core.term, vote: core.vote, role: core.role, queued };
    return true;
  }

  private leaderHears(node: Observed, watch: Watch, message: Message): void {
    const { core } = node;
    if (message.type === MessageType.TransferLeader) watch.baseline = watch.ticks;
    if (message.term !== core.term) return;
    if (message.type === MessageType.AppResp || message.type === MessageType.HeartbeatResp) {
      watch.heard.set(message.from, watch.ticks);
    }
  }

  /** A transfer was asked of this very node. */
  transferAsked(node: Observed): void {
    const watch = this.watches.get(node.id) as Watch;
    watch.baseline = watch.ticks;
  }

  /** After a message was stepped that had to be ignored. */
  ignored({ core, id }: Observed, message: Message): void {
    const { before } = this.watches.get(id) as Watch;
    const queued = core.afterAppend.length + core.messages.length;
    const still =
      core.term === before.term &&
      core.vote === before.vote &&
      core.role === before.role &&
      queued === before.queued;
    law(
      'R11',
      still,
      () =>
        `${id}, with a healthy leader, takes ${message.from}'s request for a vote in term ${message.term}`,
    );
  }

  leaves({ id }: Observed, message: Message): void {
    if (message.type === MessageType.PreVoteResp && !message.reject) {
      this.preVotes.add(`${id}/${message.term}/${message.to}`);
    }
  }

  /** `node` has just raised its term to campaign. */
  campaigns({ core, id }: Observed): void {
    const watch = this.watches.get(id) as Watch;
    if (!core.config.preVote || watch.timeoutNow) return;
    const { incoming, outgoing } = core.tracker.config;
    for (const half of [incoming, outgoing]) {
      const count = half.filter(
        (voter) =>
          voter === id ||
          this.preVotes.has(`${voter}/${core.term}/${id}`) ||
          this.preVotes.has(`${voter}/${core.term - 1}/${id}`),
      ).length;
      law(
        'R11',
        half.length === 0 || count * 2 > half.length,
        () => `${id} campaigns in term ${core.term} with ${count} of ${half.length} pre-votes`,
      );
    }
  }

  /** After a tick at `node`. */
  ticked(node: Observed): void {
    const watch = this.watches.get(node.id) as Watch;
    const { core } = node;
    watch.silence++;
    if (core.role !== Role.Leader || !core.config.checkQuorum) return;
    if (watch.term !== core.term) {
      watch.term = core.term;
      watch.ticks = 0;
      watch.baseline = 0;
      watch.heard.clear();
    }
    watch.ticks++;
    if (watch.config !== core.tracker.config) {
      watch.config = core.tracker.config;
      watch.baseline = watch.ticks;
    }
    if (watch.ticks - watch.baseline <= 2 * core.config.electionTick) return;
    const bound = watch.ticks - 2 * core.config.electionTick;
    const { incoming, outgoing } = core.tracker.config;
    for (const half of [incoming, outgoing]) {
      const lately = half.filter((id) => id === node.id || (watch.heard.get(id) ?? 0) >= bound).length;
      law(
        'R11',
        half.length === 0 || lately * 2 > half.length,
        () =>
          `${node.id} leads term ${core.term} and heard from ${lately} of ${half.length} in two election timeouts`,
      );
    }
  }
}
