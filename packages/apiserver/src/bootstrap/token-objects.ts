/**
 * The objects that tokens are bound to, looked up in the server's own stores: what authentication asks of each token
 * it has not seen for a while. Made before the server, since its filters need it; given the stores once they exist.
 */

import type { GroupResource, KubeObject } from '../api/meta.ts';
import { ApiError } from '../api/status.ts';
import type { TokenLookups } from '../authn/service-account.ts';
import type { Stores } from '../registry/resource.ts';
import { lookUp } from './ensure.ts';

export class TokenObjects implements TokenLookups {
  private stores: Stores | undefined = undefined;

  /** From now on there is something to look in. */
  start(stores: Stores): void {
    this.stores = stores;
  }

  serviceAccount(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.find({ group: '', resource: 'serviceaccounts' }, namespace, name);
  }

  secret(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.find({ group: '', resource: 'secrets' }, namespace, name);
  }

  pod(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.find({ group: '', resource: 'pods' }, namespace, name);
  }

  node(name: string): Promise<KubeObject | undefined> {
    return this.find({ group: '', resource: 'nodes' }, '', name);
  }

  /** The newest object: a token whose account was deleted just now is good no more. */
  private async find(
    resource: GroupResource,
    namespace: string,
    name: string,
  ): Promise<KubeObject | undefined> {
    if (this.stores === undefined) {
      throw new ApiError({ code: 503, reason: 'ServiceUnavailable', message: 'the server is starting' });
    }
    // A name from a token may be anything; an empty one names nothing.
    if (name === '' || /[/%]/.test(name) || /[/%]/.test(namespace)) return undefined;
    const store = this.stores.of(resource);
    return store === undefined ? undefined : await lookUp(store, namespace, name);
  }
}
