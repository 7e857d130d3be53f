/**
 * What nodes may do: read the objects that their pods use, write what is theirs (lease, CSINode, slices), and
 * what the rules of system:node allow for the rest. Allows or has no opinion; cannot enumerate.
 *
 * Modelled on kubernetes' plugin/pkg/auth/authorizer/node with AuthorizeNodeWithSelectors, texts included.
 */

import {
  GROUP_NODES,
  type AuthorizationAttributes,
  type Authorizer,
  type Decision,
  type UserInfo,
} from '../api/user-info.ts';
import { NODE_RULES } from './bootstrap-policy.ts';
import type { NodeGraph, NodeGraphKind } from './node-graph.ts';
import { rulesAllow } from './rules.ts';
import { NO_RULES, type RuleResolver, type UserRules } from './user-rules.ts';

const PREFIX = 'system:node:';
const ALLOW: Decision = { kind: 'allow', reason: '' };
const READ_VERBS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const OWN_VERBS: ReadonlySet<string> = new Set(['get', 'create', 'update', 'patch', 'delete']);

function isNode({ name, groups }: UserInfo): boolean {
  return name.startsWith(PREFIX) && groups.includes(GROUP_NODES);
}

function no(reason: string): Decision {
  return { kind: 'no-opinion', reason };
}

/** Of nodes that cannot be told; all others have no rules here. */
const NODES_RULES: UserRules = {
  resourceRules: [],
  nonResourceRules: [],
  incomplete: true,
  errors: ['node authorizer does not support user rule resolution'],
};

export class NodeAuthorizer implements Authorizer, RuleResolver {
  private readonly graph: NodeGraph;

  constructor(graph: NodeGraph) {
    this.graph = graph;
  }

  rulesFor(user: UserInfo): UserRules {
    return isNode(user) ? NODES_RULES : NO_RULES;
  }

  authorize(attributes: AuthorizationAttributes): Promise<Decision> {
    return Promise.resolve(this.decide(attributes));
  }

  decide(attributes: AuthorizationAttributes): Decision {
    const { user } = attributes;
    if (!isNode(user)) return no('');
    const node = user.name.slice(PREFIX.length);
    if (node === '') return no(`unknown node for user ${JSON.stringify(user.name)}`);
    if (attributes.isResource) {
      const closer = this.closer(node, attributes);
      if (closer !== undefined) return closer;
    }
    return rulesAllow(NODE_RULES, attributes) ? ALLOW : no('');
  }

  /** The decision on resources that are looked at object by object; undefined: the rules decide. */
  private closer(node: string, attributes: AuthorizationAttributes): Decision | undefined {
    const { group, resource, subresource, verb } = attributes;
    switch (group === '' ? resource : `${resource}.${group}`) {
      case 'secrets':
        return this.read(node, 'secret', attributes);
      case 'configmaps':
        return this.read(node, 'configmap', attributes);
      case 'persistentvolumeclaims':
        return subresource === 'status' && verb !== 'get'
          ? this.status(node, 'pvc', attributes)
          : this.get(node, 'pvc', attributes);
      case 'persistentvolumes':
        return this.get(node, 'pv', attributes);
      case 'resourceclaims.resource.k8s.io':
        return this.get(node, 'resourceclaim', attributes);
      case 'volumeattachments.storage.k8s.io':
        return this.get(node, 'volumeattachment', attributes);
      case 'serviceaccounts':
        return subresource === '' && verb === 'get'
          ? this.read(node, 'serviceaccount', attributes)
          : this.token(node, attributes);
      case 'leases.coordination.k8s.io':
        return lease(node, attributes);
      case 'csinodes.storage.k8s.io':
        return own(node, attributes, 'a CSINode', 'CSINode');
      case 'resourceslices.resource.k8s.io':
        return this.slice(node, attributes);
      case 'nodes':
        return nodes(node, attributes);
      case 'pods':
        return this.pods(node, attributes);
      default:
        return undefined;
    }
  }

  private related(node: string, kind: NodeGraphKind, { namespace, name }: AuthorizationAttributes): Decision {
    if (name === '') return no('No Object name found');
    return this.graph.reaches(kind, namespace, name, node)
      ? ALLOW
      : no(`no relationship found between node '${node}' and this object`);
  }

  private read(node: string, kind: NodeGraphKind, attributes: AuthorizationAttributes): Decision {
    if (!READ_VERBS.has(attributes.verb)) return no('can only read resources of this type');
    if (attributes.subresource !== '') return no('cannot read subresource');
    if (attributes.namespace === '') return no('can only read namespaced object of this type');
    return this.related(node, kind, attributes);
  }

  private get(node: string, kind: NodeGraphKind, attributes: AuthorizationAttributes): Decision {
    if (attributes.verb !== 'get') return no('can only get individual resources of this type');
    if (attributes.subresource !== '') return no('cannot get subresource');
    return this.related(node, kind, attributes);
  }

  private status(node: string, kind: NodeGraphKind, attributes: AuthorizationAttributes): Decision {
    if (attributes.verb !== 'update' && attributes.verb !== 'patch') {
      return no('can only get/update/patch this type');
    }
    return this.related(node, kind, attributes);
  }

  private token(node: string, attributes: AuthorizationAttributes): Decision {
    const { verb, name, subresource } = attributes;
    if (verb !== 'create' || name === '') {
      return no('can only create tokens for individual service accounts');
    }
    if (subresource !== 'token') return no('can only create token subresource of serviceaccount');
    return this.related(node, 'serviceaccount', attributes);
  }

  private slice(node: string, attributes: AuthorizationAttributes): Decision {
    if (attributes.subresource !== '') return no('cannot authorize ResourceSlice subresources');
    switch (attributes.verb) {
      case 'create':
        // Whose slice it will be stands in it: the NodeRestriction plugin looks.
        return ALLOW;
      case 'get':
      case 'update':
      case 'patch':
      case 'delete':
        return this.related(node, 'resourceslice', attributes);
      case 'list':
      case 'watch':
      case 'deletecollection':
        return selects(attributes, 'spec.nodeName', node)
          ? ALLOW
          : no('can only list/watch/deletecollection resourceslices with nodeName field selector');
      default:
        return no(
          'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
        );
    }
  }

  private pods(node: string, attributes: AuthorizationAttributes): Decision {
    const { verb, subresource, name } = attributes;
    switch (`${verb} ${subresource}`) {
      case 'get ':
        return this.related(node, 'pod', attributes);
      case 'list ':
      case 'watch ':
        if (selects(attributes, 'spec.nodeName', node)) return ALLOW;
        return name === ''
          ? no('can only list/watch pods with spec.nodeName field selector')
          : this.related(node, 'pod', attributes);
      case 'create ':
      case 'delete ':
      case 'update status':
      case 'patch status':
      case 'create eviction':
        // Whose pod it is stands in it: the NodeRestriction plugin looks.
        return ALLOW;
      default:
        return no('');
    }
  }
}

/** Whether the request is narrowed to what carries the node's name in a field. */
function selects({ fieldSelector = [] }: AuthorizationAttributes, field: string, node: string): boolean {
  return fieldSelector.some((one) => one.field === field && one.operator === '=' && one.value === node);
}

function nodes(node: string, { verb, subresource, name }: AuthorizationAttributes): Decision {
  switch (`${verb} ${subresource}`) {
    case 'create ':
    case 'update ':
    case 'patch ':
    case 'update status':
    case 'patch status':
      // That it is its own the NodeRestriction plugin sees to.
      return ALLOW;
    case 'get ':
    case 'list ':
    case 'watch ':
      // By name and not by the graph: a kubelet looks for its node before there is one.
      if (name === node) return ALLOW;
      return name === ''
        ? no(`node '${node}' cannot read all nodes, only its own Node object`)
        : no(`node '${node}' cannot read '${name}', only its own Node object`);
    default:
      return no('');
  }
}

function lease(node: string, { verb, namespace, name }: AuthorizationAttributes): Decision {
  if (!OWN_VERBS.has(verb)) return no('can only get, create, update, patch, or delete a node lease');
  if (namespace !== 'kube-node-lease') {
    return no('can only access leases in the "kube-node-lease" system namespace');
  }
  // The name of a create is not known here; the NodeRestriction plugin sees it.
  return verb === 'create' || name === node
    ? ALLOW
    : no('can only access node lease with the same name as the requesting node');
}

function own(node: string, attributes: AuthorizationAttributes, a: string, kind: string): Decision {
  const { verb, name, subresource } = attributes;
  if (!OWN_VERBS.has(verb)) return no(`can only get, create, update, patch, or delete ${a}`);
  if (subresource !== '') return no(`cannot authorize ${kind} subresources`);
  return verb === 'create' || name === node
    ? ALLOW
    : no(`can only access ${kind} with the same name as the requesting node`);
}
