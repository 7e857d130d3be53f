/** Volumes of a pod: a name and one source each. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkAnnotations, checkLabels } from './labels.ts';
import { dnsSubdomainErrors } from './names.ts';
import { checkDownwardSource, checkKeySource, checkProjected } from './pod-projections.ts';
import { checkDnsLabel, checkEnum, quantity } from './scalars.ts';
import { has, part, partOf, text, textMap } from './value.ts';
import { checkClaimSpec } from './volume-claims.ts';
import { SHARED_SOURCES, type SourceCheck } from './volume-sources.ts';

/** Whose volumes they are. */
export interface VolumeOwner {
  /** The pod's name; empty where it is not known, or a template's. */
  readonly podName: string;
  /** Whether it is a pod, not a template of one. */
  readonly isPod: boolean;
}

const PULL_POLICIES: readonly string[] = ['Always', 'IfNotPresent', 'Never'];
const TARGET_LENGTH_MAX = 64;
const TARGET_TOO_LONG =
  'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.';

/** Sources in the order the original asks for them: the first that is there counts, others are too many. */
const ORDER: readonly string[] = [
  'emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker',
  'persistentVolumeClaim rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile vsphereVolume',
  'photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral image',
].flatMap((names) => names.split(' '));

/** Where paths in messages are not the fields'. */
const CHECKED_AT: Readonly<Record<string, string>> = { gcePersistentDisk: 'persistentDisk' };
const REFUSED_AT: Readonly<Record<string, string>> = { cephfs: 'cephFS', downwardAPI: 'downwarAPI' };

const OWN_SOURCES: Readonly<Record<string, SourceCheck>> = {
  emptyDir(errors, path, source) {
    if (has(source, 'sizeLimit') && quantity(source['sizeLimit']).nanos < 0n) {
      errors.forbidden(path.child('sizeLimit'), 'SizeLimit field must be a valid resource quantity');
    }
  },
  secret(errors, path, source) {
    checkKeySource(errors, path, source, 'secretName');
  },
  configMap(errors, path, source) {
    checkKeySource(errors, path, source, 'name');
  },
  persistentVolumeClaim(errors, path, source) {
    if (text(source, 'claimName') === '') errors.required(path.child('claimName'));
  },
  downwardAPI: checkDownwardSource,
  projected: checkProjected,
  ephemeral(errors, path, source) {
    const at = path.child('volumeClaimTemplate');
    const template = partOf(source, 'volumeClaimTemplate');
    if (template === undefined) {
      errors.required(at);
      return;
    }
    const metadata = part(template, 'metadata');
    checkAnnotations(errors, at.child('metadata', 'annotations'), textMap(metadata, 'annotations'));
    checkLabels(errors, at.child('metadata', 'labels'), textMap(metadata, 'labels'));
    for (const field of Object.keys(metadata)) {
      const value = metadata[field];
      if (field === 'labels' || field === 'annotations' || value === null || value === '') continue;
      errors.forbidden(at.child('metadata', field), 'cannot be set');
    }
    checkClaimSpec(errors, at.child('spec'), part(template, 'spec'));
  },
};

/** The volumes in which nothing is wrong, by name. */
export function checkVolumes(
  errors: FieldErrors,
  path: FieldPath,
  volumes: readonly JsonObject[],
  owner: VolumeOwner,
): ReadonlyMap<string, JsonObject> {
  const claims = new Set<string>();
  if (owner.podName !== '') {
    for (const volume of volumes) {
      if (has(volume, 'ephemeral')) claims.add(`${owner.podName}-${text(volume, 'name')}`);
    }
  }
  const byName = new Map<string, JsonObject>();
  for (const [index, volume] of volumes.entries()) {
    const at = path.index(index);
    const name = text(volume, 'name');
    const before = errors.size;
    checkSource(errors, at, volume, owner);
    if (name === '') errors.required(at.child('name'));
    else checkDnsLabel(errors, at.child('name'), name);
    if (byName.has(name)) errors.duplicate(at.child('name'), name);
    if (errors.size === before) byName.set(name, volume);
    const claim = text(part(volume, 'persistentVolumeClaim'), 'claimName');
    if (has(volume, 'persistentVolumeClaim') && claims.has(claim)) {
      const why = 'must not reference a PVC that gets created for an ephemeral volume';
      errors.invalid(at.child('persistentVolumeClaim', 'claimName'), claim, why);
    }
  }
  return byName;
}

function checkSource(errors: FieldErrors, path: FieldPath, volume: JsonObject, owner: VolumeOwner): void {
  const name = text(volume, 'name');
  let found = 0;
  for (const source of ORDER) {
    const given = partOf(volume, source);
    if (given === undefined) continue;
    found += 1;
    if (found > 1) {
      errors.forbidden(path.child(REFUSED_AT[source] ?? source), 'may not specify more than 1 volume type');
    } else if (source === 'image') checkImage(errors, path.child('image'), given, owner.isPod);
    else {
      const check = OWN_SOURCES[source] ?? SHARED_SOURCES[source];
      check?.(errors, path.child(CHECKED_AT[source] ?? source), given, false);
    }
    if (source === 'iscsi' && has(given, 'initiatorName')) {
      const target = `${name}:${text(given, 'targetPortal')}`;
      if (target.length > TARGET_LENGTH_MAX) errors.invalid(path.child('name'), name, TARGET_TOO_LONG);
    }
    if (source === 'ephemeral' && found === 1 && owner.podName !== '' && name !== '') {
      const claim = `${owner.podName}-${name}`;
      for (const wrong of dnsSubdomainErrors(claim)) {
        errors.invalid(path.child('name'), name, `PVC name ${JSON.stringify(claim)}: ${wrong}`);
      }
    }
  }
}

function checkImage(errors: FieldErrors, path: FieldPath, image: JsonObject, isPod: boolean): void {
  // A template may leave it to who makes the pod.
  if (isPod && text(image, 'reference') === '') errors.required(path.child('reference'));
  checkEnum(errors, path.child('pullPolicy'), text(image, 'pullPolicy'), PULL_POLICIES);
}
