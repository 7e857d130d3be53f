/**
 * The policies, bindings and namespaces of a cluster in memory, as informers tell them: a request looks at them without
 * waiting. Empty, and up to date, until somebody follows the cluster.
 */

import type { KubeObject } from '../../api/meta.ts';
import type { InformerHandler } from '../../informer/informer.ts';
import { ObjectCache } from '../../informer/object-cache.ts';

/** Policies of one sort with their bindings. */
export class PolicyCache {
  readonly policies: ObjectCache;
  readonly bindings: ObjectCache;
  /** Counts the changes. */
  version = 0;

  constructor() {
    const changed = (): void => {
      this.version += 1;
    };
    this.policies = new ObjectCache(changed);
    this.bindings = new ObjectCache(changed);
  }
}

/** What an informer of a resource is to tell. */
export interface FollowedResource {
  readonly group: string;
  readonly resource: string;
  readonly handler: InformerHandler;
}

const GROUP = 'admissionregistration.k8s.io';

export class PolicyObjects {
  readonly validating = new PolicyCache();
  readonly mutating = new PolicyCache();
  private readonly namespaces = new ObjectCache();
  private synced: Promise<void> | undefined = undefined;

  readonly followed: readonly FollowedResource[] = [
    { group: GROUP, resource: 'validatingadmissionpolicies', handler: this.validating.policies },
    { group: GROUP, resource: 'validatingadmissionpolicybindings', handler: this.validating.bindings },
    { group: GROUP, resource: 'mutatingadmissionpolicies', handler: this.mutating.policies },
    { group: GROUP, resource: 'mutatingadmissionpolicybindings', handler: this.mutating.bindings },
    { group: '', resource: 'namespaces', handler: this.namespaces },
  ];

  /** @param synced resolves when all there was has been told */
  follow(synced: Promise<void>): void {
    this.synced = synced.then(() => {
      this.synced = undefined;
    });
  }

  /** Resolves when policies are known; undefined where they are. */
  get pending(): Promise<void> | undefined {
    return this.synced;
  }

  namespace(name: string): KubeObject | undefined {
    return this.namespaces.get('', name);
  }
}
