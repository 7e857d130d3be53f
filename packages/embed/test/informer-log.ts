/** An informer of @kubernetes/client-node that is begun again whenever it fails, with everything it says of ConfigMaps. */
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from '@kubernetes/client-node';

export interface HeardEvent {
  readonly kind: 'event';
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly key: string;
  readonly revision: number;
}

export interface InformerLog {
  readonly heard: readonly HeardEvent[];
  /** How often it failed and was begun again. */
  readonly restarts: number;
  /** What its cache holds, with versions. */
  cache(): Map<string, number>;
  stop(): Promise<void>;
}

const PAUSE_MS = 50;

export function logInformer(kubeconfig: string, namespace: string): InformerLog {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const heard: HeardEvent[] = [];
  let stopped = false;
  let restarts = 0;
  let timer: NodeJS.Timeout | undefined;
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  const say =
    (type: 'ADDED' | 'MODIFIED' | 'DELETED') =>
    ({ metadata }: V1ConfigMap): void => {
      heard.push({
        kind: 'event',
        type,
        key: `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`,
        revision: Number(metadata?.resourceVersion),
      });
    };
  informer.on('add', say('ADDED'));
  informer.on('update', say('MODIFIED'));
  informer.on('delete', say('DELETED'));
  const again = (): void => {
    if (stopped || timer !== undefined) return;
    restarts += 1;
    timer = setTimeout(() => {
      timer = undefined;
      begin();
    }, PAUSE_MS);
  };
  const begin = (): void => {
    // A list that is refused ends here; a watch that breaks says so by the event.
    if (!stopped) void informer.start().catch(again);
  };
  informer.on('error', again);
  begin();
  return {
    heard,
    get restarts() {
      return restarts;
    },
    cache: () =>
      new Map(
        informer
          .list()
          .map(({ metadata }) => [
            `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`,
            Number(metadata?.resourceVersion),
          ]),
      ),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await informer.stop();
    },
  };
}
