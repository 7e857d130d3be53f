/**
 * The members a gateway forwards to, and which of them gets the next connection: among those that answer, the class
 * of the lowest priority; in it by weight (RFC 2782), a weight of 0 meaning a very small chance beside others, and
 * each in its turn where no weight was given. It decides only; who dials says what became of it.
 */
import type { Prng } from '@keelson/base';

/** Where a member listens, as a DNS SRV record says it; weight and priority are 0 for endpoints that were given. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** One of the targets. */
export interface Remote {
  readonly target: Target;
  /** "host:port", IPv6 in brackets. */
  readonly address: string;
  /** Whether it is chosen. */
  readonly active: boolean;
}

/** Of a hundred choices in a class with weights, those that go to members of weight 0 (etcd's). */
const UNWEIGHTED_SHARE = 100;

interface MutableRemote extends Remote {
  active: boolean;
}

export class Remotes {
  private readonly remotes: readonly MutableRemote[];
  private readonly prng: Prng;
  /** How often a turn was taken. */
  private turns = 0;

  constructor(targets: readonly Target[], prng: Prng) {
    this.remotes = targets.map((target) => ({ target, address: addressOf(target), active: true }));
    this.prng = prng;
  }

  get addresses(): string[] {
    return this.remotes.map(({ address }) => address);
  }

  get inactive(): readonly Remote[] {
    return this.remotes.filter(({ active }) => !active);
  }

  /** @returns undefined when none is active */
  pick(): Remote | undefined {
    const active = this.remotes.filter((remote) => remote.active);
    if (active.length === 0) return undefined;
    const best = Math.min(...active.map(({ target }) => target.priority));
    const candidates = active.filter(({ target }) => target.priority === best);
    const weighted = candidates.filter(({ target }) => target.weight > 0);
    const unweighted = candidates.filter(({ target }) => target.weight === 0);
    if (weighted.length === 0) return this.inTurn(unweighted);
    if (unweighted.length > 0 && this.prng.chance(1, UNWEIGHTED_SHARE)) return this.inTurn(unweighted);
    let left = this.prng.below(weighted.reduce((sum, { target }) => sum + target.weight, 0));
    return weighted.find(({ target }) => (left -= target.weight) < 0);
  }

  /** It could not be reached: nobody gets it until it is said to be back. @returns whether that is news */
  deactivate(remote: Remote): boolean {
    return this.turn(remote, false);
  }

  activate(remote: Remote): boolean {
    return this.turn(remote, true);
  }

  private turn(remote: Remote, active: boolean): boolean {
    const own = this.remotes.find((each) => each === remote);
    if (own === undefined || own.active === active) return false;
    own.active = active;
    return true;
  }

  private inTurn(remotes: readonly Remote[]): Remote | undefined {
    return remotes[this.turns++ % remotes.length];
  }
}

export function addressOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
