/**
 * The whole list: rows 1 to 97 and 105 to 108 of the checklist of classic bugs, as far as the store, its client and the
 * seam between store and consensus can have them. The core's own rows (4 to 7, 9, 10, 18, 20 to 26) are seeded in
 * packages/raft/test/mutants. Without a mutant here:
 *
 *   89   a stop that drops acknowledgements or hangs is seen by the black box alone, which counts them
 *   107  a stall of the event loop is measured (tests/overload), not asserted
 */
import { DURABILITY } from './durability.ts';
import { KEYS } from './keys.ts';
import { LEASES } from './leases.ts';
import { MEMBERS } from './members.ts';
import type { Mutant } from './mutant.ts';
import { PERMISSIONS } from './permissions.ts';
import { WATCHES } from './watches.ts';

export const MUTANTS: readonly Mutant[] = [
  ...DURABILITY,
  ...KEYS,
  ...WATCHES,
  ...LEASES,
  ...MEMBERS,
  ...PERMISSIONS,
];
