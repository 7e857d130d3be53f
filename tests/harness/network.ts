/**
 * Where the members of a cluster under test stand, and the links between them and to their clients. A link has a
 * direction, and a cut one loses everything without a word: no reset, no error. There are two kinds: network
 * namespaces on a bridge (`namespaces.ts`), and relays on loopback (`relays.ts`). The clients are this process.
 */

/** A member by its seat, from 0; or the clients, all at once. */
export type Place = number | 'clients';

export interface Seat {
  readonly host: string;
  readonly clientPort: number;
  /** Which the other members dial. */
  readonly peerPort: number;
  /** Where it listens, when what clients and members dial is a relay. */
  readonly behind?: { readonly clientPort: number; readonly peerPort: number };
  /** Stands before the member's program on its command line: what puts the process in its place. */
  readonly launcher: readonly string[];
}

export interface Network {
  readonly kind: 'namespaces' | 'loopback';
  readonly seats: readonly Seat[];
  /** From now on nothing that `from` sends reaches `to`. */
  cut(from: Place, to: Place): void;
  /** Undoes one cut. */
  join(from: Place, to: Place): void;
  /** All links carry again. */
  heal(): void;
  /** Removes what it made. Never fails. */
  dispose(): void;
}

/** Every ordered pair of different places. */
export function everyLink(seats: number): readonly (readonly [Place, Place])[] {
  const places: Place[] = [...Array.from({ length: seats }, (_, i) => i), 'clients'];
  return places.flatMap((from) => places.flatMap((to) => (from === to ? [] : [[from, to] as const])));
}
