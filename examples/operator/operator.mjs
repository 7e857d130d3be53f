// A small operator: for each Greeting it keeps a ConfigMap with what is to be said, and tells in the Greeting's status that
// it is there. The ConfigMap names the Greeting as its owner, so it goes with it.
import {
  CustomObjectsApi,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';

export const GREETINGS = { group: 'example.com', version: 'v1', plural: 'greetings' };
const MANAGER = 'greeter';

/**
 * @param config a KubeConfig of @kubernetes/client-node
 * @param report is told what failed
 */
export async function startOperator(config, report) {
  const custom = config.makeApiClient(CustomObjectsApi);
  const objects = KubernetesObjectApi.makeApiClient(config);
  let work = Promise.resolve();
  let stopping = false;
  let again;

  async function reconcile({ metadata, spec, status }) {
    const { name, namespace, uid, generation, deletionTimestamp } = metadata;
    if (deletionTimestamp !== undefined || status?.observedGeneration === generation) return;
    const said = `${spec.word}, ${spec.to}`;
    const owner = { apiVersion: 'example.com/v1', kind: 'Greeting', name, uid, controller: true };
    const map = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, ownerReferences: [owner] },
      data: { said },
    };
    await objects.patch(map, undefined, undefined, MANAGER, true, PatchStrategy.ServerSideApply);
    await custom.patchNamespacedCustomObjectStatus(
      { ...GREETINGS, namespace, name, body: { status: { said, observedGeneration: generation } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }

  const informer = makeInformer(config, '/apis/example.com/v1/greetings', () =>
    custom.listCustomObjectForAllNamespaces({ ...GREETINGS, resourcePlural: GREETINGS.plural }),
  );
  const follow = (greeting) => {
    work = work
      .then(() => reconcile(greeting))
      .catch((error) => {
        // Gone meanwhile, or being deleted with its namespace: the informer tells of it.
        if (error.code !== 404 && error.code !== 409) report(error);
      });
  };
  informer.on('add', follow);
  informer.on('update', follow);
  informer.on('error', () => {
    if (!stopping) again = setTimeout(() => informer.start().catch(report), 1000);
  });
  await informer.start();

  return {
    async stop() {
      stopping = true;
      clearTimeout(again);
      await informer.stop();
      await work;
    },
  };
}
