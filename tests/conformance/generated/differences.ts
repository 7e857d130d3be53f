/**
 * Where generated scripts may differ from Debian's etcd 3.4.23, each with its reason and source. Nothing else
 * may; and what no run of the full budget needs has no place here.
 */
import type { Step } from './operations.ts';

export interface GeneratedDifference {
  readonly reason: string;
  readonly about: (step: Step) => boolean;
  /** Lines of either side into what both must be equal in. */
  readonly rewrite: (lines: readonly string[]) => readonly string[];
}

export const GENERATED_DIFFERENCES: readonly GeneratedDifference[] = [
  {
    reason: '3.7 answers keys-only from the index, which knows no leases: the field is 0 (etcd PR 20526)',
    about: (step) => step.traits.has('keys only'),
    rewrite: (lines) => lines.filter((line) => !/\.lease /.test(line)),
  },
  {
    reason: 'since 3.5 the root role shows that it may do everything (auth/store.go, rootPerm)',
    about: (step) => step.rpc === 'Auth.RoleGet' && step.text.includes('"role":"root"'),
    rewrite: (lines) => lines.filter((line) => !line.startsWith('perm')),
  },
];

/** The runner leaves those out of both sides: it knows what was compacted. */
export const LOST_TOMBSTONE =
  'a watch from the compacted revision on gets the deletes made at just that revision; 3.4 drops them before 3.4.34 (etcd issue 19179)';
