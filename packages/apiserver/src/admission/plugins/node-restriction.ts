/**
 * NodeRestriction: a kubelet changes its own node, the pods that run there and what goes with them, and nothing of
 * anybody else's. Everybody who is no node passes.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/noderestriction.
 */

import { describeResource, type KubeObject } from '../../api/meta.ts';
import { GROUP_NODES, type UserInfo } from '../../api/user-info.ts';
import type { AdmissionAttributes, MutatingPlugin } from '../admission.ts';
import { checkNode, checkNodeNamed } from '../node-limits.ts';
import { checkPodOfNode, checkTokenOfNode } from '../node-pod-limits.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { part, same, text, withFieldAt, without } from '../../validation/value.ts';

const USER_PREFIX = 'system:node:';
const LEASE_NAMESPACE = 'kube-node-lease';

export function nodeRestriction(context: PluginContext): MutatingPlugin {
  return {
    name: 'NodeRestriction',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { user, object } = attributes;
      const node = user === undefined ? undefined : nodeOf(user);
      if (node === undefined) return object;
      if (node === '') {
        throw refusal(attributes, `could not determine node from user ${JSON.stringify(user?.name ?? '')}`);
      }
      await check(context, attributes, node);
      return object;
    },
  };
}

/** The node a user is; '' for a node without a name, undefined for who is none. */
function nodeOf({ name, groups }: UserInfo): string | undefined {
  if (!name.startsWith(USER_PREFIX) || !groups.includes(GROUP_NODES)) return undefined;
  return name.slice(USER_PREFIX.length);
}

async function check(context: PluginContext, attributes: AdmissionAttributes, node: string): Promise<void> {
  switch (describeResource(attributes.resource)) {
    case 'pods':
      return await checkPodOfNode(context, attributes, node);
    case 'nodes':
      return checkNode(attributes, node);
    case 'persistentvolumeclaims':
      return checkClaim(attributes, node);
    case 'serviceaccounts':
      return await checkTokenOfNode(context, attributes, node);
    case 'leases.coordination.k8s.io':
      if (attributes.namespace !== LEASE_NAMESPACE) {
        throw refusal(
          attributes,
          `can only access leases in the ${JSON.stringify(LEASE_NAMESPACE)} system namespace`,
        );
      }
      return checkNodeNamed(attributes, node, 'node lease');
    case 'csinodes.storage.k8s.io':
      return checkNodeNamed(attributes, node, 'CSINode');
    case 'resourceslices.resource.k8s.io':
      return checkSlice(attributes, node);
    default:
  }
}

/** Of a claim a node says how large its volume is, no more. */
function checkClaim(attributes: AdmissionAttributes, node: string): void {
  const { operation, subresource, object, oldObject } = attributes;
  if (subresource !== 'status') throw refusal(attributes, 'may only update PVC status');
  if (operation !== 'UPDATE') {
    throw refusal(attributes, `unexpected operation ${JSON.stringify(operation)}`);
  }
  if (object === undefined || oldObject === undefined) return;
  if (!same(fixedPart(object), fixedPart(oldObject))) {
    throw refusal(
      attributes,
      `node ${JSON.stringify(node)} is not allowed to update fields other than status.quantity and status.conditions`,
    );
  }
}

/** A claim without what a node may say of it. */
function fixedPart(claim: KubeObject): KubeObject {
  const status = without(
    part(claim, 'status'),
    'capacity',
    'conditions',
    'allocatedResourceStatuses',
    'allocatedResources',
    'modifyVolumeStatus',
    'currentVolumeAttributesClassName',
  );
  const bare = without(part(claim, 'metadata'), 'resourceVersion', 'managedFields');
  return withFieldAt(withFieldAt(claim, ['status'], status), ['metadata'], bare);
}

function checkSlice(attributes: AdmissionAttributes, node: string): void {
  const { operation, object } = attributes;
  // A slice's node cannot change, and whether it may be deleted is authorization's.
  if (operation !== 'CREATE' || object === undefined) return;
  if (text(part(object, 'spec'), 'nodeName') !== node) {
    throw refusal(attributes, 'can only create ResourceSlice with the same NodeName as the requesting node');
  }
}
