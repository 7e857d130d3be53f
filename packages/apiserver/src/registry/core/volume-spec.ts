/**
 * What a volume of the cluster is: of a PersistentVolume, and of one that an attachment brings along. Texts as
 * upstream's core validation.
 */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { goMap } from '../../validation/go-values.ts';
import { checkNodeSelector } from '../../validation/pod-placement.ts';
import { checkDnsSubdomain, checkOptionalEnum, quantity } from '../../validation/scalars.ts';
import { has, part, partOf, text, textOf, texts } from '../../validation/value.ts';
import { checkAccessModes, VOLUME_MODES } from '../../validation/volume-claims.ts';
import { SHARED_SOURCES } from '../../validation/volume-sources.ts';

export const VOLUME_SOURCES: readonly string[] = [
  'hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc',
  'flexVolume azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi',
].flatMap((names) => names.split(' '));
const POLICIES: readonly string[] = ['Delete', 'Recycle', 'Retain'];
/** What the volume of an attachment may not say. */
const NOT_INLINE = 'in the context of inline volumes';

/** @param name of the volume, which some drivers make a name of */
export function checkVolumeSpec(errors: FieldErrors, path: FieldPath, spec: JsonObject, name: string): void {
  checkModes(errors, path, spec);
  checkCapacity(errors, path.child('capacity'), part(spec, 'capacity'));
  const policy = text(spec, 'persistentVolumeReclaimPolicy');
  if (policy !== '' && !POLICIES.includes(policy)) {
    errors.notSupported(path.child('persistentVolumeReclaimPolicy'), policy, POLICIES);
  }
  const affinity = partOf(part(spec, 'nodeAffinity'), 'required');
  const at = path.child('nodeAffinity', 'required');
  if (has(spec, 'nodeAffinity') && affinity === undefined)
    errors.required(at, 'must specify required node constraints');
  if (affinity !== undefined) checkNodeSelector(errors, at, affinity);
  checkSources(errors, path, spec, has(spec, 'nodeAffinity'), name);
  if (/^\/+(\.?\/*)*$/.test(text(part(spec, 'hostPath'), 'path')) && policy === 'Recycle') {
    errors.forbidden(
      path.child('persistentVolumeReclaimPolicy'),
      "may not be 'recycle' for a hostPath mount of '/'",
    );
  }
  const storageClass = text(spec, 'storageClassName');
  if (storageClass !== '') checkDnsSubdomain(errors, path.child('storageClassName'), storageClass);
  checkOptionalEnum(errors, path.child('volumeMode'), textOf(spec, 'volumeMode'), VOLUME_MODES);
  if (!has(spec, 'volumeAttributesClassName')) return;
  const attributes = text(spec, 'volumeAttributesClassName');
  const place = path.child('volumeAttributesClassName');
  if (attributes === '') errors.required(place, 'an empty string is disallowed');
  else checkDnsSubdomain(errors, place, attributes);
  if (!has(spec, 'csi'))
    errors.required(path.child('csi'), 'has to be specified when using volumeAttributesClassName');
}

/** The volume of an attachment: a driver's, with little beside. */
export function checkInlineVolume(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  for (const name of ['claimRef', 'capacity'])
    if (has(spec, name)) errors.forbidden(path.child(name), `may not be specified ${NOT_INLINE}`);
  if (!has(spec, 'csi')) errors.required(path.child('csi'), `has to be specified ${NOT_INLINE}`);
  checkModes(errors, path, spec);
  const policy = text(spec, 'persistentVolumeReclaimPolicy');
  if (policy !== '' && policy !== 'Retain')
    errors.forbidden(path.child('persistentVolumeReclaimPolicy'), `may only be Retain ${NOT_INLINE}`);
  if (has(spec, 'nodeAffinity'))
    errors.forbidden(path.child('nodeAffinity'), `may not be specified ${NOT_INLINE}`);
  checkSources(errors, path, spec, false, '');
  if (text(spec, 'storageClassName') !== '')
    errors.forbidden(path.child('storageClassName'), `may not be specified ${NOT_INLINE}`);
  const mode = textOf(spec, 'volumeMode');
  if (mode !== undefined && mode !== 'Filesystem') {
    const why = `may not specify volumeMode other than Filesystem ${NOT_INLINE}`;
    errors.forbidden(path.child('volumeMode'), why);
  }
}

function checkModes(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const modes = texts(spec, 'accessModes');
  if (modes.length === 0) errors.required(path.child('accessModes'));
  checkAccessModes(errors, path.child('accessModes'), modes);
}

function checkCapacity(errors: FieldErrors, path: FieldPath, capacity: JsonObject): void {
  const names = Object.keys(capacity);
  if (names.length === 0) errors.required(path);
  if (capacity['storage'] === undefined || names.length > 1)
    errors.notSupported(path, names.length === 0 ? null : goMap(capacity), ['storage']);
  for (const [name, value] of Object.entries(capacity)) {
    const at = path.key(name);
    const whole = quantity(value).nanos / 1_000_000_000n;
    if (whole < 0n) errors.invalid(at, whole, 'must be a valid resource quantity');
    if (quantity(value).nanos <= 0n) errors.invalid(at, value, 'must be greater than zero');
  }
}

/** One source, and that it is right. @param placed the volume says where it can be reached */
function checkSources(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  placed: boolean,
  volume: string,
): void {
  let sources = 0;
  for (const name of VOLUME_SOURCES) {
    const source = partOf(spec, name);
    if (source === undefined) continue;
    sources += 1;
    if (sources > 1 && name !== 'flexVolume')
      errors.forbidden(
        path.child(name === 'cephfs' ? 'cephFS' : name),
        'may not specify more than 1 volume type',
      );
    else {
      const at = path.child(name === 'gcePersistentDisk' ? 'persistentDisk' : name);
      SHARED_SOURCES[name]?.(errors, at, source, true);
    }
    if (name === 'iscsi' && has(source, 'initiatorName')) checkTarget(errors, path, source, volume);
    if (name === 'local' && sources === 1 && !placed)
      errors.required(path.child('nodeAffinity'), 'Local volume requires node affinity');
  }
  if (sources === 0) errors.required(path, 'must specify a volume type');
}

/** A volume's and its portal's names together go into one of a device. */
function checkTarget(errors: FieldErrors, path: FieldPath, source: JsonObject, volume: string): void {
  const portal = text(source, 'targetPortal');
  if (`${volume}:${portal}`.length <= 64) return;
  errors.invalid(
    path.child('iscsi', 'targetportal'),
    portal,
    'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.',
  );
}
