/**
 * OwnerReferencesPermissionEnforcement: who makes an object that is there another one's dependent must be allowed to delete it, and
 * who lets it hold up its owner's deletion must be allowed to set the owner's finalizers.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/gc.
 */

import { parseApiVersion, type KubeObject, type OwnerReference } from '../../api/meta.ts';
import type { AuthorizationAttributes, Decision } from '../../api/user-info.ts';
import { same } from '../../validation/value.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import { isPodsResource } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';

/** Who may do this need not be asked about each owner. */
const FINALIZE_ANYTHING = {
  verb: 'update',
  group: '*',
  version: '*',
  resource: '*',
  subresource: 'finalizers',
  namespace: '',
  name: '*',
} as const;

export function ownerReferencesPermissionEnforcement({
  authorizer,
  lookup,
}: PluginContext): ValidatingPlugin {
  return {
    name: 'OwnerReferencesPermissionEnforcement',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { object, oldObject, operation, resource, subresource, user, namespace, name } = attributes;
      // Status updates of pods cannot change owners, and old kubelets sent them wrong.
      if (object === undefined || user === undefined) return;
      if (isPodsResource(resource) && subresource === 'status') return;
      if (same(ownersOf(object), ownersOf(oldObject))) return;

      const question: AuthorizationAttributes = {
        user,
        verb: 'delete',
        isResource: true,
        group: resource.group,
        version: resource.version,
        resource: resource.resource,
        subresource,
        namespace,
        name,
        path: '',
      };
      // Who creates an object could have left it: only what is there already can be lost by an owner.
      if (operation !== 'CREATE') {
        const decision = await authorizer.authorize(question);
        if (decision.kind !== 'allow') {
          throw refusal(
            attributes,
            `cannot set an ownerRef on a resource you can't delete: ${reasonOf(decision)}`,
          );
        }
      }
      const blocking = newlyBlocking(object, oldObject);
      if (blocking.length === 0) return;
      const anything = await authorizer.authorize({ ...question, ...FINALIZE_ANYTHING });
      if (anything.kind === 'allow') return;
      for (const owner of blocking) {
        for (const asked of questionsAbout(owner, question, lookup, attributes)) {
          const answer = await authorizer.authorize(asked);
          if (answer.kind !== 'allow') {
            throw refusal(
              attributes,
              `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${reasonOf(answer)}`,
            );
          }
        }
      }
    },
  };
}

function ownersOf(object: KubeObject | undefined): readonly OwnerReference[] {
  return object?.metadata.ownerReferences ?? [];
}

function reasonOf({ reason, error }: Decision): string {
  return `${reason}, ${error ?? '<nil>'}`;
}

/** Owners whose deletion this object comes to hold up. */
function newlyBlocking(object: KubeObject, old: KubeObject | undefined): OwnerReference[] {
  const before = ownersOf(old).filter((owner) => owner.blockOwnerDeletion === true);
  return ownersOf(object).filter(
    (owner) => owner.blockOwnerDeletion === true && !before.some((other) => other.uid === owner.uid),
  );
}

/** A reference names a kind; each resource that holds it is asked about. */
function questionsAbout(
  owner: OwnerReference,
  question: AuthorizationAttributes,
  lookup: PluginContext['lookup'],
  attributes: AdmissionAttributes,
): AuthorizationAttributes[] {
  const version = parseApiVersion(owner.apiVersion);
  const found = version === undefined ? [] : lookup.resourcesOf({ ...version, kind: owner.kind });
  if (found.length === 0) {
    throw refusal(
      attributes,
      `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}: no matches for kind ${JSON.stringify(owner.kind)} in version ${JSON.stringify(owner.apiVersion)}`,
    );
  }
  return found.map(({ group, version: served, resource }) => ({
    ...question,
    verb: 'update',
    group,
    version: served,
    resource,
    subresource: 'finalizers',
    // An owner that is in a namespace is in the one of its dependents.
    namespace: lookup.scopeOf({ group, resource }) === 'Namespaced' ? question.namespace : '',
    name: owner.name,
  }));
}
