/**
 * A small operator, written with @kubernetes/client-node alone as its users write them: it leads by a Lease, follows the
 * ConfigMaps that describe sites with an informer, and applies what a site is made of on the server's side.
 */
import {
  AppsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  V1MicroTime,
  type Informer,
  type KubeConfig,
  type V1ConfigMap,
  type V1Deployment,
} from '@kubernetes/client-node';

export const SITE_LABEL = 'example.com/site';
const MANAGER = 'site-operator';
const LEASE = 'site-operator';

export class SiteOperator {
  readonly identity: string;
  /** Times the informer has begun to watch. */
  connections = 0;
  readonly errors: unknown[] = [];
  private readonly config: KubeConfig;
  private readonly core: CoreV1Api;
  private readonly leases: CoordinationV1Api;
  private readonly objects: KubernetesObjectApi;
  private readonly namespace: string;
  private informer: Informer<V1ConfigMap> | undefined = undefined;
  private work: Promise<void> = Promise.resolve();
  /** From here on an informer that ends is no news. */
  private stopping = false;

  constructor(config: KubeConfig, identity: string, namespace: string) {
    this.identity = identity;
    this.namespace = namespace;
    this.config = config;
    this.core = config.makeApiClient(CoreV1Api);
    this.leases = config.makeApiClient(CoordinationV1Api);
    this.objects = KubernetesObjectApi.makeApiClient(config);
  }

  /** Takes the lease where nobody has it. @returns whether this one leads now */
  async campaign(): Promise<boolean> {
    const { namespace, identity } = this;
    try {
      await this.leases.createNamespacedLease({
        namespace,
        body: {
          metadata: { name: LEASE },
          spec: { holderIdentity: identity, leaseDurationSeconds: 15, renewTime: new V1MicroTime() },
        },
      });
      return true;
    } catch (error) {
      if (codeOf(error) !== 409) throw error;
    }
    const lease = await this.leases.readNamespacedLease({ namespace, name: LEASE });
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === identity) return true;
    if (holder !== '') return false;
    try {
      await this.leases.replaceNamespacedLease({
        namespace,
        name: LEASE,
        body: changed(lease, {
          spec: { leaseDurationSeconds: 15, holderIdentity: identity, renewTime: new V1MicroTime() },
        }),
      });
      return true;
    } catch (error) {
      // Somebody was faster: his write changed the version that ours names.
      if (codeOf(error) === 409) return false;
      throw error;
    }
  }

  async resign(): Promise<void> {
    const { namespace } = this;
    const lease = await this.leases.readNamespacedLease({ namespace, name: LEASE });
    if (lease.spec?.holderIdentity !== this.identity) return;
    const spec = { leaseDurationSeconds: 1, renewTime: new V1MicroTime() };
    await this.leases.replaceNamespacedLease({ namespace, name: LEASE, body: changed(lease, { spec }) });
  }

  async start(): Promise<void> {
    const { namespace } = this;
    const labelSelector = SITE_LABEL;
    const informer = makeInformer<V1ConfigMap>(
      this.config,
      `/api/v1/namespaces/${namespace}/configmaps`,
      () => this.core.listNamespacedConfigMap({ namespace, labelSelector }),
      labelSelector,
    );
    const follow = (site: V1ConfigMap): void => {
      this.work = this.work
        .then(() => this.reconcile(site))
        .catch((error: unknown) => {
          this.errors.push(error);
        });
    };
    informer.on('add', follow);
    informer.on('update', follow);
    informer.on('connect', () => (this.connections += 1));
    informer.on('error', (error: unknown) => {
      if (!this.stopping) this.errors.push(error);
    });
    this.informer = informer;
    await informer.start();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.informer?.stop();
    await this.work;
  }

  private async reconcile(site: V1ConfigMap): Promise<void> {
    const { namespace } = this;
    const { name = '', uid = '' } = site.metadata ?? {};
    const labels = { site: name };
    const deployment: V1Deployment & { metadata: { name: string } } = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name,
        namespace,
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid, controller: true }],
      },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'web', image: site.data?.['image'] ?? 'nginx' }] },
        },
      },
    };
    await this.objects.patch(deployment, undefined, undefined, MANAGER, true, PatchStrategy.ServerSideApply);
  }
}

/** A copy with other members, as a plain object, which is all a body has to be. */
export function changed<T extends object>(object: T, change: Partial<T>): T {
  return Object.assign({}, object, change);
}

/** The HTTP code of a failed call. */
export function codeOf(error: unknown): number {
  return typeof error === 'object' && error !== null && 'code' in error ? Number(error.code) : 0;
}

export function deploymentsOf(config: KubeConfig): AppsV1Api {
  return config.makeApiClient(AppsV1Api);
}
