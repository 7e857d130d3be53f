/**
 * An operator of its own kind, written with @kubernetes/client-node alone as its users write them: brings its definition,
 * follows its objects with an informer, holds them with a finalizer, applies what they are made of on the server's side, and
 * says in their status what it found.
 */
import {
  ApiextensionsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type Informer,
  type KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  type V1ConfigMap,
  type V1CustomResourceDefinition,
} from '@kubernetes/client-node';
import { codeOf } from './site-operator.ts';

export const GROUP = 'garden.example.com';
export const PLURAL = 'beds';
const FINALIZER = `${GROUP}/dug-over`;
const MANAGER = 'garden-operator';

export interface Bed extends KubernetesObject {
  spec: { plants: string[]; rows?: number };
  status?: { observedGeneration?: number; phase?: string };
}

export const DEFINITION: V1CustomResourceDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${PLURAL}.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: PLURAL, singular: 'bed', kind: 'Bed', listKind: 'BedList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['plants'],
                properties: {
                  plants: { type: 'array', maxItems: 20, items: { type: 'string', maxLength: 40 } },
                  rows: { type: 'integer', _default: 1, minimum: 1 },
                },
                x_kubernetes_validations: [
                  { rule: 'self.plants.size() > 0', message: 'a bed is for plants' },
                ],
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer', format: 'int64' },
                  phase: { type: 'string' },
                },
              },
            },
          },
        },
      },
    ],
  },
};

export class GardenOperator {
  readonly errors: unknown[] = [];
  private readonly config: KubeConfig;
  private readonly namespace: string;
  private readonly core: CoreV1Api;
  private readonly custom: CustomObjectsApi;
  private readonly objects: KubernetesObjectApi;
  private readonly definitions: ApiextensionsV1Api;
  private informer: Informer<Bed> | undefined = undefined;
  private work: Promise<void> = Promise.resolve();
  private stopping = false;

  constructor(config: KubeConfig, namespace: string) {
    this.config = config;
    this.namespace = namespace;
    this.core = config.makeApiClient(CoreV1Api);
    this.custom = config.makeApiClient(CustomObjectsApi);
    this.objects = KubernetesObjectApi.makeApiClient(config);
    this.definitions = config.makeApiClient(ApiextensionsV1Api);
  }

  /** As envtest installs: made where it is not there; @returns whether it is served now */
  async install(): Promise<void> {
    try {
      await this.definitions.createCustomResourceDefinition({ body: DEFINITION });
    } catch (error) {
      if (codeOf(error) !== 409) throw error;
    }
  }

  /** As envtest waits: until discovery tells of the kind. */
  async isServed(): Promise<boolean> {
    try {
      const { resources } = await this.custom.getAPIResources({ group: GROUP, version: 'v1' });
      return resources.some(({ name }) => name === PLURAL);
    } catch (error) {
      if (codeOf(error) === 404) return false;
      throw error;
    }
  }

  async uninstall(): Promise<void> {
    await this.definitions.deleteCustomResourceDefinition({ name: `${PLURAL}.${GROUP}` });
  }

  async isInstalled(): Promise<boolean> {
    try {
      await this.definitions.readCustomResourceDefinition({ name: `${PLURAL}.${GROUP}` });
      return true;
    } catch (error) {
      if (codeOf(error) === 404) return false;
      throw error;
    }
  }

  async start(): Promise<void> {
    const { namespace } = this;
    const at = { group: GROUP, version: 'v1', namespace, plural: PLURAL };
    const informer = makeInformer<Bed>(
      this.config,
      `/apis/${GROUP}/v1/namespaces/${namespace}/${PLURAL}`,
      async () => (await this.custom.listNamespacedCustomObject(at)) as KubernetesListObject<Bed>,
    );
    const follow = (bed: Bed): void => {
      this.work = this.work
        .then(() => this.reconcile(bed))
        .catch((error: unknown) => {
          // Gone, or changed since it was seen: the informer tells of it.
          if (codeOf(error) !== 409 && codeOf(error) !== 404) this.errors.push(error);
        });
    };
    informer.on('add', follow);
    informer.on('update', follow);
    informer.on('error', (error: unknown) => {
      if (this.stopping) return;
      this.errors.push(error);
    });
    this.informer = informer;
    await informer.start();
  }

  /** Begins anew after the informer was told of a failure. */
  async again(): Promise<void> {
    this.errors.length = 0;
    await this.informer?.start();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.informer?.stop();
    await this.work;
  }

  private async reconcile({ metadata, spec, status }: Bed): Promise<void> {
    const { name = '', uid = '', generation, deletionTimestamp, finalizers = [] } = metadata ?? {};
    const { namespace } = this;
    const at = { group: GROUP, version: 'v1', namespace, plural: PLURAL, name };
    if (deletionTimestamp !== undefined) {
      if (!finalizers.includes(FINALIZER)) return;
      await this.core.deleteNamespacedConfigMap({ namespace, name }).catch((error: unknown) => {
        if (codeOf(error) !== 404) throw error;
      });
      await this.merge({ metadata: { name, finalizers: finalizers.filter((each) => each !== FINALIZER) } });
      return;
    }
    if (!finalizers.includes(FINALIZER)) {
      await this.merge({ metadata: { name, finalizers: [...finalizers, FINALIZER] } });
      return;
    }
    const plan: V1ConfigMap & { metadata: { name: string } } = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace,
        ownerReferences: [{ apiVersion: `${GROUP}/v1`, kind: 'Bed', name, uid, controller: true }],
      },
      data: { plan: `${spec.rows ?? 0} x ${spec.plants.join(' ')}` },
    };
    await this.objects.patch(plan, undefined, undefined, MANAGER, true, PatchStrategy.ServerSideApply);
    if (status?.observedGeneration === generation) return;
    await this.custom.patchNamespacedCustomObjectStatus(
      { ...at, body: { status: { observedGeneration: generation, phase: 'Planted' } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }

  private async merge(change: { metadata: { name: string; finalizers: string[] } }): Promise<void> {
    const { namespace } = this;
    const { name } = change.metadata;
    await this.custom.patchNamespacedCustomObject(
      {
        group: GROUP,
        version: 'v1',
        namespace,
        plural: PLURAL,
        name,
        body: { metadata: { finalizers: change.metadata.finalizers } },
      },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }
}
