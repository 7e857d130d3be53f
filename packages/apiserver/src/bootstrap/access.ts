/**
 * Who may do what, joined: the modes of authorization in their order, what they decide by kept current from the
 * store, the check against escalation, and the resources by which clients ask and write about it. Made before the
 * server, whose filters need it; started with the server's scheme, from which it reads.
 */

import { assert, type Clock, type Logger } from '@keelson/base';

import type { ApiRequest } from '../api/exchange.ts';
import { describeResource, type GroupResource } from '../api/meta.ts';
import type { Authorizer } from '../api/user-info.ts';
import { attributesOf } from '../authz/attributes.ts';
import { ALWAYS_ALLOW, ALWAYS_DENY, AuthorizerChain, type ChainObserver, type Mode } from '../authz/chain.ts';
import { EscalationCheck } from '../authz/escalation.ts';
import { forbiddenRequest } from '../authz/forbidden.ts';
import { NodeAuthorizer } from '../authz/node-authorizer.ts';
import { NodeGraph } from '../authz/node-graph.ts';
import { RbacAuthorizer } from '../authz/rbac.ts';
import { RBAC_GROUP, RbacObjects, type RbacKind } from '../authz/rbac-objects.ts';
import type { RuleResolver } from '../authz/user-rules.ts';
import { Informer, type InformerHandler } from '../informer/informer.ts';
import { InformerSet } from '../informer/informer-set.ts';
import type { Scheme } from '../registry/scheme.ts';
import { storeOf } from './ensure.ts';
import { atMost } from './at-most.ts';
import { RoleAggregation } from './role-aggregation.ts';

/** A mode of --authorization-mode; a webhook, or what an embedder brings, is given ready. */
export type AuthorizationMode = 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny' | Mode;

export interface AccessOptions {
  /** In the order they are asked; `['Node', 'RBAC']` is what clusters have. */
  readonly modes: readonly AuthorizationMode[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told who decided. */
  readonly observer?: ChainObserver;
}

const RBAC_KINDS: readonly [RbacKind, string][] = [
  ['ClusterRole', 'clusterroles'],
  ['Role', 'roles'],
  ['ClusterRoleBinding', 'clusterrolebindings'],
  ['RoleBinding', 'rolebindings'],
];

const CLUSTER_ROLES = { group: RBAC_GROUP, resource: 'clusterroles' };

/** What the store may take to end what was asked of it. */
const STOP_MS = 1_000;

export class Access {
  /** What decides a request: all modes, members of system:masters first. */
  readonly authorizer: Authorizer & RuleResolver;
  readonly escalation: EscalationCheck;
  readonly rbac: RbacAuthorizer;
  /** For admission: NodeRestriction and others may ask what a node reaches. */
  readonly nodes = new NodeGraph();
  /** Others may add theirs: they start, stop and count for readiness together. */
  readonly informers = new InformerSet();
  private readonly chain: AuthorizerChain;
  private readonly node: NodeAuthorizer;
  private readonly objects = new RbacObjects();
  private readonly options: AccessOptions;
  private readonly aggregation: RoleAggregation;

  constructor(options: AccessOptions) {
    this.options = options;
    this.rbac = new RbacAuthorizer(this.objects);
    this.node = new NodeAuthorizer(this.nodes);
    this.chain = new AuthorizerChain(
      options.modes.map((mode) => this.modeOf(mode)),
      options.observer,
    );
    this.authorizer = this.chain;
    this.escalation = new EscalationCheck(this.rbac, this.authorizer);
    this.aggregation = new RoleAggregation(options.clock, options.logger);
  }

  /** From now on these decide. `Node` only where it did at the start: what it decides by is followed since then. */
  use(modes: readonly AuthorizationMode[]): void {
    assert(
      !modes.includes('Node') || this.options.modes.includes('Node'),
      'nodes decide by what is followed since the start',
    );
    this.chain.use(modes.map((mode) => this.modeOf(mode)));
  }

  /** For readiness: `informer-sync`. */
  get checks(): readonly [InformerSet['check']] {
    return [this.informers.check];
  }

  /** Begins to follow the store. */
  start(scheme: Scheme): void {
    for (const [kind, resource] of RBAC_KINDS) {
      const { objects, aggregation } = this;
      this.follow(
        scheme,
        { group: RBAC_GROUP, resource },
        {
          put: (object) => {
            objects.put(object);
            if (kind === 'ClusterRole') aggregation.roles.put(object);
          },
          remove: (namespace, name) => {
            objects.remove(kind, namespace, name);
            if (kind === 'ClusterRole') aggregation.roles.remove(namespace, name);
          },
        },
      );
    }
    if (this.options.modes.includes('Node')) this.followNodes(scheme);
    this.informers.start();
    this.aggregation.start(storeOf(scheme, CLUSTER_ROLES));
  }

  async stop(): Promise<void> {
    const { clock } = this.options;
    await atMost(clock, STOP_MS, Promise.all([this.aggregation.stop(), this.informers.stop()]));
  }

  /**
   * Whether a PUT or an apply may create what is not there, which it was not asked as.
   *
   * @throws ApiError Forbidden
   */
  async mayCreate(request: ApiRequest): Promise<void> {
    const { user } = request.context;
    if (user === undefined) return;
    const attributes = { ...attributesOf(user, request.info), verb: 'create' };
    const { kind, reason } = await this.authorizer.authorize(attributes);
    if (kind !== 'allow') throw forbiddenRequest(attributes, reason);
  }

  private followNodes(scheme: Scheme): void {
    const { nodes } = this;
    this.follow(
      scheme,
      { group: '', resource: 'pods' },
      {
        put: (pod) => nodes.putPod(pod),
        remove: (namespace, name) => nodes.remove('pod', namespace, name),
      },
    );
    this.follow(
      scheme,
      { group: '', resource: 'persistentvolumes' },
      {
        put: (volume) => nodes.putVolume(volume),
        remove: (namespace, name) => nodes.remove('pv', namespace, name),
      },
    );
    this.follow(
      scheme,
      { group: 'storage.k8s.io', resource: 'volumeattachments' },
      {
        put: (attachment) => nodes.putVolumeAttachment(attachment),
        remove: (namespace, name) => nodes.remove('volumeattachment', namespace, name),
      },
    );
    this.follow(
      scheme,
      { group: 'resource.k8s.io', resource: 'resourceslices' },
      {
        put: (slice) => nodes.putResourceSlice(slice),
        remove: (namespace, name) => nodes.remove('resourceslice', namespace, name),
      },
    );
  }

  /** A resource that is not served has nothing to tell. */
  private follow(scheme: Scheme, resource: GroupResource, handler: InformerHandler): void {
    const source = scheme.store(resource);
    if (source === undefined) return;
    const { clock, logger } = this.options;
    this.informers.add(new Informer({ name: describeResource(resource), source, handler, clock, logger }));
  }

  private modeOf(mode: AuthorizationMode): Mode {
    switch (mode) {
      case 'RBAC':
        return bothOf(mode, this.rbac);
      case 'Node':
        return bothOf(mode, this.node);
      case 'AlwaysAllow':
        return ALWAYS_ALLOW;
      case 'AlwaysDeny':
        return ALWAYS_DENY;
      default:
        return mode;
    }
  }
}

/** An authorizer that can tell its rules. */
function bothOf(type: string, authorizer: Authorizer & RuleResolver): Mode {
  return { label: { type, name: type.toLowerCase() }, authorizer, rules: authorizer };
}
