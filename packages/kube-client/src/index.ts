export { Discovery, discoveryFailure, type Served, type ServedResource } from './discovery.ts';
export {
  Informer,
  withoutManagedFields,
  type Handler,
  type Indexer,
  type InformerOptions,
} from './informer.ts';
export { InformerSet, type InformerRequest, type InformerSetOptions } from './informer-set.ts';
export {
  hasCause,
  hasReason,
  KubeError,
  statusError,
  type KubeErrorCode,
  type StatusCause,
} from './kube-error.ts';
export { Counter, Histogram, MetricSet, QUEUE_SECONDS, type Labels } from './metrics.ts';
export {
  apiVersionOf,
  describeResource,
  groupVersionOf,
  isDeleting,
  isKubeObject,
  isRecord,
  keyOf,
  splitKey,
  type KubeList,
  type KubeObject,
  type ObjectMeta,
  type OwnerReference,
  type Resource,
  type WatchEvent,
  type WatchEventType,
} from './objects.ts';
export { Backoff, jittered, type BackoffOptions } from './backoff.ts';
export { Reflector, type ReflectorOptions, type ReflectorTarget } from './reflector.ts';
export {
  pathOf,
  RestClient,
  type DeleteOptions,
  type ListOptions,
  type PatchType,
  type RawAnswer,
  type ReadOptions,
  type RequestOptions,
  type RestClientOptions,
  type WatchOptions,
  type WriteOptions,
} from './rest-client.ts';
export type { CallAnswer, CallOptions, Transport } from './transport.ts';
export { WorkQueue, type Outcome, type WorkQueueOptions } from './work-queue.ts';
export { LeaderElection, type LeaderElectionOptions } from './leader-election.ts';
export { EventRecorder, type EventRecorderOptions, type EventType } from './event-recorder.ts';
export { HttpsTransport, type HttpsTransportOptions } from './https-transport.ts';
export {
  inClusterConfig,
  KubeconfigError,
  loadKubeconfig,
  type ClientConfig,
  type KubeconfigFile,
  type ReadFile,
} from './kubeconfig.ts';
