/**
 * Asks, before a role or binding is written, whether the writer holds what it gives. What the server does by itself
 * has no user and is not asked.
 */

import type { KubeObject } from '../../api/meta.ts';
import type { EscalationCheck, RbacWrite } from '../../authz/escalation.ts';
import type { Reservation, ResourceDefinition, ResourceHooks } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';

/** The definition of an RBAC kind with the check before its writes. */
export function withEscalationCheck(
  definition: ResourceDefinition,
  check: EscalationCheck,
): ResourceDefinition {
  const isRole = definition.resource === 'roles' || definition.resource === 'clusterroles';
  const ask = async (
    object: KubeObject,
    old: KubeObject | undefined,
    context: StrategyContext,
  ): Promise<Reservation> => {
    const write = writeOf(context);
    if (write !== undefined)
      await (isRole ? check.role(write, object, old) : check.binding(write, object, old));
    return { object, finish: () => Promise.resolve() };
  };
  const hooks: ResourceHooks = {
    ...definition.hooks,
    beginCreate: (object, context) => ask(object, undefined, context),
    beginUpdate: (object, old, context) => ask(object, old, context),
  };
  return { ...definition, hooks };
}

function writeOf({ user, info }: StrategyContext): RbacWrite | undefined {
  if (user === undefined) return undefined;
  return { user, namespace: info?.namespace ?? '', name: info?.name ?? '' };
}
