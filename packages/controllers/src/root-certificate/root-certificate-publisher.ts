/**
 * root-ca-certificate-publisher-controller: every namespace has the ConfigMap `kube-root-ca.crt` with the certificate
 * that clients in the cluster verify the API server by.
 */

import { isRecord, type KubeObject } from '@keelson/kube-client';

import type { ControllerParts } from '../controller.ts';
import { NamespacedUpkeep } from '../namespaced-upkeep.ts';
import { CONFIG_MAPS } from '../resources.ts';

export const ROOT_CERTIFICATE_CONFIG_MAP = 'kube-root-ca.crt';
const DESCRIPTION_KEY = 'kubernetes.io/description';
const DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** @param certificate PEM, one or several */
export function rootCertificatePublisher(parts: ControllerParts, certificate: string): NamespacedUpkeep {
  const data = { 'ca.crt': certificate };
  const asWanted = (object: KubeObject): boolean => {
    const found = object['data'];
    return (
      isRecord(found) &&
      Object.keys(found).length === 1 &&
      found['ca.crt'] === certificate &&
      object.metadata.annotations?.[DESCRIPTION_KEY] !== undefined
    );
  };
  return new NamespacedUpkeep(parts, {
    name: 'root_ca_cert_publisher',
    resource: CONFIG_MAPS,
    objectName: ROOT_CERTIFICATE_CONFIG_MAP,
    request: {
      purpose: 'root certificate',
      // One and the same certificate in each namespace is not kept as often.
      transform: (object) => {
        const { metadata } = object;
        const { name = '', namespace = '', uid = '' } = metadata;
        return { metadata: { name, namespace, uid }, right: asWanted(object) };
      },
    },
    wanted: (namespace) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: ROOT_CERTIFICATE_CONFIG_MAP,
        namespace,
        annotations: { [DESCRIPTION_KEY]: DESCRIPTION },
      },
      data,
    }),
    right: (kept) => kept['right'] === true,
    mended: (object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        annotations: { ...object.metadata.annotations, [DESCRIPTION_KEY]: DESCRIPTION },
      },
      data,
    }),
  });
}
