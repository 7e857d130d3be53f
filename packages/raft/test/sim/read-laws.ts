/**
 * R10: a read is answered with an index at least as high as anything that was committed anywhere when it was
 * asked; each attempt has a context of its own; a leader answers only after it committed an entry of its
 * term, and lets all its reads go when it leads no more.
 */
import { law } from '@keelson/sim';
import { type Message, MessageType, type NodeId, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

export class ReadLaws {
  private readonly floors = new Map<string, number>();

  asks(context: string, maxCommitted: number): void {
    law('R10', !this.floors.has(context), () => `context ${context} is used for a second attempt`);
    this.floors.set(context, maxCommitted);
  }

  answered(id: NodeId, context: string, index: number): void {
    const floor = this.floors.get(context);
    law('R10', floor !== undefined, () => `${id} answers a read nobody asked for`);
    law(
      'R10',
      floor === undefined || index >= floor,
      () => `${id} reads at ${index}; ${floor} was committed before it asked`,
    );
  }

  leaves({ core, id }: Observed, message: Message): void {
    if (message.type !== MessageType.ReadIndexResp || core.term !== message.term) return;
    if (core.role !== Role.Leader) return;
    law('R10', core.committedInTerm(), () => `${id} answers a read before it committed in its term`);
    law('R10', message.index <= core.log.committed, () => `${id} answers a read beyond its commit index`);
  }

  /** After a change of role or term. */
  changed({ core, id }: Observed, sameLeadership: boolean): void {
    if (sameLeadership) return;
    const none = core.role === Role.Leader ? core.reads.newestContext() === undefined : this.empty(core);
    law('R10', none, () => `${id} keeps reads of an earlier leadership`);
  }

  private empty(core: Observed['core']): boolean {
    return core.reads.newestContext() === undefined && core.earlyReads.length === 0;
  }
}
