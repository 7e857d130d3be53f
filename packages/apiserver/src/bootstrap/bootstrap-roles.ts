/**
 * Brings the stored roles and bindings to at least the default ones (rbac/bootstrap-roles). Reads each kind once,
 * decides with authz/reconcile, and writes only what lacks something.
 *
 * Modelled on the post-start hook of kubernetes' registry/rbac/rest.
 */

import type { GroupResource, KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import { bootstrapPolicy } from '../authz/bootstrap-policy.ts';
import { RBAC_GROUP } from '../authz/rbac-objects.ts';
import { reconcileBinding, reconcileRole, type Reconciliation } from '../authz/reconcile.ts';
import type { ObjectStore } from '../registry/resource.ts';
import { inParallel, lookUp, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

type Reconcile = (standard: KubeObject, stored: KubeObject | undefined) => Reconciliation;

const WRITE = { dryRun: false };
/** Writes at once: one batch of the store's log takes about as many. */
const WIDTH = 32;
const TRIES = 5;

export function bootstrapRoles(): PostStartHook {
  return {
    name: 'rbac/bootstrap-roles',
    async run(stores, signal) {
      const { clusterRoles, clusterRoleBindings, roles, roleBindings } = bootstrapPolicy();
      const kinds: [string, readonly KubeObject[], Reconcile][] = [
        ['clusterroles', clusterRoles, reconcileRole],
        ['clusterrolebindings', clusterRoleBindings, reconcileBinding],
        ['roles', roles, reconcileRole],
        ['rolebindings', roleBindings, reconcileBinding],
      ];
      // Bindings come after the roles they name, so that nobody sees one of them lead nowhere.
      for (const [resource, objects, reconcile] of kinds) {
        signal.throwIfAborted();
        await reconcileAll(storeOf(stores, rbac(resource)), objects, reconcile);
      }
    },
  };
}

export function rbac(resource: string): GroupResource {
  return { group: RBAC_GROUP, resource };
}

async function reconcileAll(
  store: ObjectStore,
  standards: readonly KubeObject[],
  reconcile: Reconcile,
): Promise<void> {
  const stored = new Map<string, KubeObject>();
  for (const object of await store.list('')) stored.set(keyOf(object), object);
  await inParallel(standards, WIDTH, async (standard) => {
    let current = stored.get(keyOf(standard));
    for (let attempt = 1; ; attempt += 1) {
      const todo = reconcile(standard, current);
      try {
        await write(store, standard, todo);
        return;
      } catch (error) {
        const raced =
          hasReason(error, 'AlreadyExists') || hasReason(error, 'NotFound') || hasReason(error, 'Conflict');
        if (!raced || attempt === TRIES) throw error;
        current = await lookUp(store, standard.metadata.namespace ?? '', standard.metadata.name ?? '');
      }
    }
  });
}

async function write(store: ObjectStore, { metadata }: KubeObject, todo: Reconciliation): Promise<void> {
  const { namespace = '', name = '' } = metadata;
  switch (todo.kind) {
    case 'none':
      return;
    case 'create':
      await store.create(namespace, todo.object, WRITE);
      return;
    case 'update':
      // What was decided holds for the version it was decided on: another one is a conflict.
      await store.change(namespace, name, () => todo.object, WRITE);
      return;
    case 'recreate':
      await store.delete(namespace, name, WRITE);
      await store.create(namespace, todo.object, WRITE);
      return;
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}
