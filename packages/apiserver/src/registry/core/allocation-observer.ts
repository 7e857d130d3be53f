/** What is told of the addresses and ports that services are given, for metrics. Types only. */

/** Whether somebody asked for it by name. */
export type AllocationScope = 'dynamic' | 'static';

export interface AllocationObserver {
  readonly monotonicMs: () => number;
  /** An address of a network, `10.0.0.0/24`, was given. */
  address(cidr: string, scope: AllocationScope, seconds: number): void;
  /** One was not: it is taken, or there is none. */
  addressRefused(cidr: string, scope: AllocationScope): void;
  /** So many ports of nodes were given. */
  ports(scope: AllocationScope, count: number): void;
  portRefused(scope: AllocationScope): void;
  /** So many are taken now, of so many. */
  portsTaken(taken: number, all: number): void;
}
