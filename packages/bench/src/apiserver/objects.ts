/** What is stored: ConfigMaps of one value, and pods as a Deployment makes them, in JSON as a client sends it. */
import type { Settings } from '../options.ts';
import type { Asked } from './api-client.ts';

export type Kind = 'configmaps' | 'pods' | 'widgets';

export interface ObjectMaker {
  readonly kind: Kind;
  /** Objects are changed by a merge patch of their stamp: an update in full has to say which version it replaces. */
  readonly patched?: boolean;
  /** Path of the collection in a namespace. */
  collection(namespace: string): string;
  /** @param stamp changes with each version of an object; eight letters */
  body(namespace: string, name: string, stamp: string): Buffer;
}

/** Behind which the stamp of a version stands in its JSON. */
export const STAMP_MARK = Buffer.from('"stamp":"');
export const STAMP_LENGTH = 8;

export function stampOf(sequence: number): string {
  return String(sequence).padStart(STAMP_LENGTH, '0');
}

/** A change of an object's stamp, as a merge patch. */
export function stampPatch(path: string, stamp: string): Asked {
  const body = Buffer.from(`{"metadata":{"annotations":{"stamp":"${stamp}"}}}`);
  return { method: 'PATCH', path, body, headers: { 'content-type': 'application/merge-patch+json' } };
}

/** A value without a meaning, the same in each run. */
function filler(bytes: number): string {
  return 'keelson '.repeat(Math.ceil(bytes / 8)).slice(0, bytes);
}

export function configMaps({ valueBytes }: Pick<Settings, 'valueBytes'>): ObjectMaker {
  const value = filler(valueBytes);
  return {
    kind: 'configmaps',
    collection: (namespace) => `/api/v1/namespaces/${namespace}/configmaps`,
    body: (namespace, name, stamp) =>
      Buffer.from(
        `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}","namespace":"${namespace}","annotations":{"stamp":"${stamp}"}},"data":{"value":"${value}"}}`,
      ),
  };
}

/** A container with a probe, resources, variables and a volume: what a Deployment of a small web server makes. */
export function pods(): ObjectMaker {
  const container = (name: string, port: number): object => ({
    name,
    image: `registry.example.com/team/${name}:v1.2.3`,
    ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
    env: [
      { name: 'LOG_LEVEL', value: 'info' },
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    readinessProbe: { httpGet: { path: '/ready', port: 'http' }, periodSeconds: 5 },
    volumeMounts: [{ name: 'config', mountPath: '/etc/config', readOnly: true }],
  });
  const spec = JSON.stringify({
    containers: [container('web', 8080)],
    volumes: [{ name: 'config', configMap: { name: 'web' } }],
    terminationGracePeriodSeconds: 30,
  });
  return {
    kind: 'pods',
    collection: (namespace) => `/api/v1/namespaces/${namespace}/pods`,
    body: (namespace, name, stamp) =>
      Buffer.from(
        `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"${name}","namespace":"${namespace}","labels":{"app":"web","pod-template-hash":"5d89bdfbf9"},"annotations":{"stamp":"${stamp}"}},"spec":${spec}}`,
      ),
  };
}
