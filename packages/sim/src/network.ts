/**
 * A network that delays, drops, repeats and reorders; that is cut in two, one way or around a bridge; whose
 * links clog and then release everything at once; and whose old connections deliver long after both ends
 * have moved on. It carries anything and looks at nothing; what a lost message means to its sender is told
 * by `lost`. Rates start from those of TigerBeetle's VOPR.
 */
import type { Prng } from '@keelson/base';
import type { Scheduler } from './scheduler.ts';

export const NETWORK_FAULTS = ['drop', 'duplicate', 'delay', 'partition', 'clog', 'stale'] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];

/** Node ids of any kind that is its own key. */
export type Address = bigint | number | string;

export interface NetworkConstants {
  /** 0 to 30. */
  readonly dropPercent: number;
  /** 0 to 50. */
  readonly duplicatePercent: number;
  /** Units a delayed message takes at most; without the fault it is 3. */
  readonly delayMax: number;
  /** Messages in a thousand of which a copy turns up again very late. */
  readonly stalePermille: number;
}

export interface NetworkWorld<Node extends Address, Message> {
  /** Whether a fault may happen now. */
  on(fault: NetworkFault): boolean;
  /** A fault happened; `detail` names its form. */
  happened(fault: NetworkFault, detail: string): void;
  /** `copy` counts from 0; `sentAt` is the time of sending. */
  deliver(from: Node, to: Node, message: Message, copy: number, sentAt: number): void;
  lost(from: Node, to: Node, message: Message): void;
  place(node: Node): number;
}

/** Units a message takes on a good day, at most. */
const GOOD_DELAY_MAX = 3;
/** How long an old connection may hold a message. */
const STALE_MAX = 4000;

export class Network<Node extends Address, Message> {
  private readonly scheduler: Scheduler;
  private readonly prng: Prng;
  private readonly constants: NetworkConstants;
  private readonly world: NetworkWorld<Node, Message>;
  private readonly cuts = new Set<string>();
  private readonly clogs = new Map<string, number>();

  constructor(
    scheduler: Scheduler,
    prng: Prng,
    constants: NetworkConstants,
    world: NetworkWorld<Node, Message>,
  ) {
    this.scheduler = scheduler;
    this.prng = prng;
    this.constants = constants;
    this.world = world;
  }

  send(from: Node, to: Node, message: Message): void {
    const { prng, world, constants } = this;
    if (this.cuts.size > 0 && this.cuts.has(`${from}>${to}`)) {
      world.happened('partition', 'cut a message off');
      world.lost(from, to, message);
      return;
    }
    if (world.on('drop') && prng.below(100) < constants.dropPercent) {
      world.happened('drop', 'dropped');
      world.lost(from, to, message);
      return;
    }
    this.carry(from, to, message, 0, this.delay(from, to));
    if (world.on('duplicate') && prng.below(100) < constants.duplicatePercent) {
      world.happened('duplicate', 'duplicated');
      this.carry(from, to, message, 1, this.delay(from, to));
    }
    if (world.on('stale') && prng.below(1000) < constants.stalePermille) {
      this.carry(from, to, message, 2, prng.between(100, STALE_MAX));
    }
  }

  private delay(from: Node, to: Node): number {
    const { prng, world } = this;
    let delay = 1 + prng.below(GOOD_DELAY_MAX);
    if (world.on('delay')) {
      delay = 1 + prng.below(this.constants.delayMax);
      if (delay > GOOD_DELAY_MAX) world.happened('delay', 'delayed');
    }
    const until = this.clogs.size === 0 ? undefined : this.clogs.get(`${from}>${to}`);
    if (until === undefined || until <= this.scheduler.now) return delay;
    world.happened('clog', 'held back');
    return until - this.scheduler.now + prng.below(2);
  }

  private carry(from: Node, to: Node, message: Message, copy: number, delay: number): void {
    const sentAt = this.scheduler.now;
    this.scheduler.later(delay, 'deliver', this.world.place(to), () => {
      if (copy === 2) {
        if (!this.world.on('stale')) return;
        this.world.happened('stale', 'delivered by an old connection');
      }
      this.world.deliver(from, to, message, copy, sentAt);
    });
  }

  /** Whether what leaves now would pass; for what is carried by other means than send(). */
  passes(from: Node, to: Node): boolean {
    return !this.cuts.has(`${from}>${to}`);
  }

  /** Nothing passes from `from` to `to` any more. */
  cut(from: Node, to: Node): void {
    this.cuts.add(`${from}>${to}`);
  }

  /** Holds back what is sent over one link for `units`; then all of it arrives at once. */
  clog(from: Node, to: Node, units: number): void {
    this.clogs.set(`${from}>${to}`, this.scheduler.now + units);
  }

  /** Cuts the network anew, in one of four ways. At least two nodes, or nothing happens. */
  partition(nodes: readonly Node[]): void {
    if (nodes.length < 2) return;
    this.mend();
    const { prng } = this;
    const form = prng.pick(['symmetric', 'one way', 'bridge', 'isolated'] as const);
    const lonely = prng.pick(nodes);
    const bridge = form === 'bridge' ? prng.pick(nodes) : undefined;
    const side = new Set(
      form === 'isolated' ? [lonely] : nodes.filter((node) => node !== bridge && prng.chance(1, 2)),
    );
    for (const a of side) {
      for (const b of nodes) {
        if (side.has(b) || b === bridge) continue;
        this.cut(a, b);
        if (form !== 'one way') this.cut(b, a);
      }
    }
    this.world.happened('partition', form);
  }

  /** Takes all cuts away. */
  mend(): void {
    this.cuts.clear();
  }

  /** Takes all cuts and clogs away; what is on its way stays on its way. */
  heal(): void {
    this.mend();
    this.clogs.clear();
  }
}
