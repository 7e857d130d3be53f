/**
 * The one place where a caller and a request's needs meet. Used at the door for what is read, and again while a
 * command is applied, with the auth state of that entry, for what is written.
 */
import type { AuthStore } from './auth-store.ts';
import type { Identity } from './identity.ts';
import type { Need } from './needs.ts';

/** Which keys hang on a lease; the lessor. */
export interface LeaseKeys {
  lookup(id: bigint): { readonly keys: Iterable<string> } | undefined;
}

/**
 * @throws StoreError USER_EMPTY, AUTH_REVISION_OLD, PERMISSION_DENIED for the first need that is not met; an unknown
 *   lease has no keys and needs nothing
 */
export function authorize(
  auth: AuthStore,
  leases: LeaseKeys,
  identity: Identity | undefined,
  needs: readonly Need[],
): void {
  if (!auth.enabled) return;
  for (const need of needs) {
    if (need.kind !== 'lease') auth.checkRange(identity, need.kind, need.key, need.end);
    // As in etcd root passes here whatever revision it knows: the leader ends leases in its name.
    else if (!auth.isRoot(identity))
      for (const key of leases.lookup(need.id)?.keys ?? []) auth.checkRange(identity, 'write', key, '');
  }
}
