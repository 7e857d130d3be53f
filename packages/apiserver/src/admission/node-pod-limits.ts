/**
 * What a node may do with pods: mirror its own static ones, tell how those bound to it fare, evict and delete them,
 * and get tokens for them.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/noderestriction.
 */

import type { JsonObject } from '../api/json.ts';
import { notFound } from '../api/status.ts';
import type { KubeObject } from '../api/meta.ts';
import { has, part, parts, partOf, same, text, texts } from '../validation/value.ts';
import type { AdmissionAttributes } from './admission.ts';
import {
  isMirrorPod,
  MIRROR_ANNOTATION,
  namesConfigMaps,
  namesSecrets,
  projections,
  specOf,
} from './pod-parts.ts';
import type { PluginContext } from './plugin-context.ts';
import { refusal } from './refusals.ts';
import { getOrLive } from './resource-lookup.ts';

const PODS = { group: '', resource: 'pods' };
const NODES = { group: '', resource: 'nodes' };
const CLAIMS = { group: '', resource: 'persistentvolumeclaims' };
const VOLUMES = { group: '', resource: 'persistentvolumes' };
const CSI_DRIVERS = { group: 'storage.k8s.io', resource: 'csidrivers' };

export async function checkPodOfNode(
  context: PluginContext,
  attributes: AdmissionAttributes,
  node: string,
): Promise<void> {
  const { operation, subresource, name, object } = attributes;
  const who = JSON.stringify(node);
  switch (subresource) {
    case '':
      if (operation === 'CREATE' && object !== undefined) {
        return await checkMirrorPod(context, attributes, object, node);
      }
      if (operation === 'DELETE') {
        const pod = await podNamed(context, attributes, name);
        if (text(specOf(pod), 'nodeName') === node) return;
        throw refusal(attributes, `node ${who} can only delete pods with spec.nodeName set to itself`);
      }
      throw refusal(
        attributes,
        `unexpected operation ${JSON.stringify(operation)}, node ${who} can only create and delete mirror pods`,
      );
    case 'status':
      return checkStatus(attributes, who, node);
    case 'eviction': {
      if (operation !== 'CREATE') throw refusal(attributes, `unexpected operation ${operation}`);
      const own = name === '' ? (object?.metadata.name ?? '') : name;
      if (own === '') throw refusal(attributes, 'could not determine pod from request data');
      const pod = await podNamed(context, attributes, own);
      if (text(specOf(pod), 'nodeName') === node) return;
      throw refusal(attributes, `node ${node} can only evict pods with spec.nodeName set to itself`);
    }
    default:
      throw refusal(
        attributes,
        `unexpected pod subresource ${JSON.stringify(subresource)}, only 'status' and 'eviction' are allowed`,
      );
  }
}

async function podNamed(
  { lookup }: PluginContext,
  { namespace }: AdmissionAttributes,
  name: string,
): Promise<KubeObject> {
  const pod = await getOrLive(lookup.of(PODS), namespace, name);
  if (pod === undefined) throw notFound({ group: '', resource: 'pod' }, name);
  return pod;
}

async function checkMirrorPod(
  { lookup }: PluginContext,
  attributes: AdmissionAttributes,
  pod: KubeObject,
  node: string,
): Promise<void> {
  const who = `node ${JSON.stringify(node)}`;
  const spec = specOf(pod);
  const refuse = (why: string): never => {
    throw refusal(attributes, why);
  };
  if (!isMirrorPod(pod)) {
    refuse(
      `pod does not have ${JSON.stringify(MIRROR_ANNOTATION)} annotation, ${who} can only create mirror pods`,
    );
  }
  if (text(spec, 'nodeName') !== node) {
    refuse(`${who} can only create pods with spec.nodeName set to itself`);
  }
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1) refuse(`${who} can only create pods with a single owner reference set to itself`);
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    refuse(`${who} can only create pods with an owner reference set to itself`);
  }
  if (owner.controller !== true) {
    refuse(`${who} can only create pods with a controller owner reference set to itself`);
  }
  if (owner.blockOwnerDeletion === true) {
    refuse(`${who} must not set blockOwnerDeletion on an owner reference`);
  }
  const found = await getOrLive(lookup.of(NODES), '', node);
  if (found === undefined) throw notFound({ group: '', resource: 'node' }, node);
  if (owner.uid !== found.metadata.uid) {
    refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${found.metadata.uid ?? ''}`);
  }

  if (text(spec, 'serviceAccountName') !== '') {
    refuse(`${who} can not create pods that reference a service account`);
  }
  if (namesSecrets(pod)) refuse(`${who} can not create pods that reference secrets`);
  if (namesConfigMaps(pod)) refuse(`${who} can not create pods that reference configmaps`);
  const volumes = parts(spec, 'volumes');
  const projected = volumes.flatMap((volume) => projections(volume));
  if (projected.some((source) => has(source, 'clusterTrustBundle'))) {
    refuse(`${who} can not create pods that reference clustertrustbundles`);
  }
  if (projected.some((source) => has(source, 'podCertificate'))) {
    refuse(`${who} can not create pods that use podCertificate projected volume sources`);
  }
  if (volumes.some((volume) => has(volume, 'persistentVolumeClaim'))) {
    refuse(`${who} can not create pods that reference persistentvolumeclaims`);
  }
  if (parts(spec, 'resourceClaims').length > 0) {
    refuse(`${who} can not create pods that reference resourceclaims`);
  }
}

function checkStatus(attributes: AdmissionAttributes, who: string, node: string): void {
  const { operation, object, oldObject } = attributes;
  if (operation !== 'UPDATE' || object === undefined || oldObject === undefined) {
    throw refusal(attributes, `unexpected operation ${JSON.stringify(operation)}`);
  }
  if (text(specOf(oldObject), 'nodeName') !== node) {
    throw refusal(
      attributes,
      `node ${who} can only update pod status for pods with spec.nodeName set to itself`,
    );
  }
  if (!same(object.metadata.labels, oldObject.metadata.labels)) {
    throw refusal(attributes, `node ${who} cannot update labels through pod status`);
  }
  const [now, before] = [part(object, 'status'), part(oldObject, 'status')];
  if (!same(now['resourceClaimStatuses'], before['resourceClaimStatuses'])) {
    throw refusal(attributes, `node ${who} cannot update resource claim statues`);
  }
  if (!same(now['extendedResourceClaimStatus'], before['extendedResourceClaimStatus'])) {
    throw refusal(attributes, `node ${who} cannot update extended resource claim status`);
  }
}

/** A node gets a token for a pod that runs there, of the audiences the pod asks for. */
export async function checkTokenOfNode(
  context: PluginContext,
  attributes: AdmissionAttributes,
  node: string,
): Promise<void> {
  const { operation, subresource, object } = attributes;
  if (operation !== 'CREATE' || subresource !== 'token' || object === undefined) return;
  const spec = part(object, 'spec');
  const bound = partOf(spec, 'boundObjectRef');
  const [name, uid] = bound === undefined ? ['', ''] : [text(bound, 'name'), text(bound, 'uid')];
  if (
    bound === undefined ||
    text(bound, 'apiVersion') !== 'v1' ||
    text(bound, 'kind') !== 'Pod' ||
    name === ''
  ) {
    throw refusal(attributes, 'node requested token not bound to a pod');
  }
  if (uid === '') throw refusal(attributes, 'node requested token with a pod binding without a uid');
  const pod = await podNamed(context, attributes, name);
  if (pod.metadata.uid !== uid) {
    throw refusal(
      attributes,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (text(specOf(pod), 'nodeName') !== node) {
    throw refusal(attributes, 'node requested token bound to a pod scheduled on a different node');
  }
  await checkAudience(context, attributes, pod, texts(spec, 'audiences'));
}

/**
 * A node may ask for one audience: one that a volume of the pod names, itself or by its CSI driver, or one that
 * authorization lets it have.
 */
async function checkAudience(
  context: PluginContext,
  attributes: AdmissionAttributes,
  pod: KubeObject,
  audiences: readonly string[],
): Promise<void> {
  const { user, namespace, name } = attributes;
  if (audiences.length > 1) throw refusal(attributes, 'node may only request 0 or 1 audiences');
  const audience = audiences[0] ?? '';
  for (const volume of parts(specOf(pod), 'volumes')) {
    if ((await audiencesOf(context, pod, volume)).includes(audience)) return;
  }
  if (user !== undefined) {
    const { kind } = await context.authorizer.authorize({
      user,
      verb: 'request-serviceaccounts-token-audience',
      isResource: true,
      group: '',
      version: '',
      resource: audience,
      subresource: '',
      namespace,
      name,
      path: '',
    });
    if (kind === 'allow') return;
  }
  throw refusal(
    attributes,
    `audience ${JSON.stringify(audience)} not found in pod spec volume, ${user?.name ?? ''} is not authorized to request tokens for this audience`,
  );
}

async function audiencesOf(
  { lookup }: PluginContext,
  pod: KubeObject,
  volume: JsonObject,
): Promise<readonly string[]> {
  const projected = projections(volume)
    .filter((source) => has(source, 'serviceAccountToken'))
    .map((source) => text(part(source, 'serviceAccountToken'), 'audience'));
  if (projected.length > 0) return projected;
  const driver = has(volume, 'csi')
    ? text(part(volume, 'csi'), 'driver')
    : await driverOfClaim(lookup, pod, volume);
  if (driver === '') return [];
  const found = await getOrLive(lookup.of(CSI_DRIVERS), '', driver);
  if (found === undefined) return [];
  return parts(part(found, 'spec'), 'tokenRequests').map((request) => text(request, 'audience'));
}

/** The CSI driver of the volume that a claim is bound to; '' for none. */
async function driverOfClaim(
  lookup: PluginContext['lookup'],
  pod: KubeObject,
  volume: JsonObject,
): Promise<string> {
  const { namespace = '', name = '' } = pod.metadata;
  const claimName = has(volume, 'ephemeral')
    ? `${name}-${text(volume, 'name')}`
    : text(part(volume, 'persistentVolumeClaim'), 'claimName');
  if (claimName === '') return '';
  const claim = await getOrLive(lookup.of(CLAIMS), namespace, claimName);
  const bound = claim === undefined ? '' : text(part(claim, 'spec'), 'volumeName');
  if (bound === '') return '';
  const found = await getOrLive(lookup.of(VOLUMES), '', bound);
  return found === undefined ? '' : text(part(part(found, 'spec'), 'csi'), 'driver');
}
