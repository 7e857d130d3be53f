/**
 * Volumes of a pod and where containers mount them; the sources a persistent volume shares. Texts as upstream's
 * core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { configKeyErrors, dnsSubdomainErrors } from './names.ts';
import { checkFieldRef, checkResourceFieldRef } from './pod-env.ts';
import { checkClaimSpec } from './volume-claims.ts';
import { checkDnsLabel, quantity } from './scalars.ts';
import { count, countOf, flag, has, part, partOf, parts, text, textMap } from './value.ts';
import { checkAnnotations, checkLabels, checkLabelSelector } from './labels.ts';

const MODE = 'must be a number between 0 and 0777 (octal), both inclusive';
const DOWNWARD_FIELDS: readonly string[] = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
const HOST_PATH_TYPES: readonly string[] = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

type SourceCheck = (errors: FieldErrors, path: FieldPath, source: JsonObject, volume: string) => void;

/** A field of the source that may not be empty. */
const needs =
  (...names: readonly string[]): SourceCheck =>
  (errors, path, source) => {
    for (const name of names)
      if (!has(source, name) || source[name] === '') errors.required(path.child(name));
  };

/** The sources a volume may have, in upstream's order; the first that is there counts, others are too many. */
const SOURCES: Readonly<Record<string, SourceCheck>> = {
  emptyDir: (errors, path, source) => {
    const limit = source['sizeLimit'];
    if (limit !== undefined && limit !== null && quantity(limit).nanos < 0n) {
      errors.forbidden(path.child('sizeLimit'), 'SizeLimit field must be a valid resource quantity');
    }
    const medium = text(source, 'medium');
    if (medium.startsWith('HugePages-') && quantity(medium.slice(10)).nanos <= 0n) {
      errors.invalid(path.child('medium'), medium, 'must be a valid hugepages medium');
    }
  },
  hostPath: (errors, path, source) => {
    const at = text(source, 'path');
    if (at === '') errors.required(path.child('path'));
    else checkNoBacksteps(errors, path.child('path'), at);
    const type = text(source, 'type');
    if (!HOST_PATH_TYPES.includes(type)) errors.notSupported(path.child('type'), type, HOST_PATH_TYPES);
  },
  gitRepo: (errors, path, source) => {
    if (text(source, 'repository') === '') errors.required(path.child('repository'));
    checkRelativePath(errors, path.child('directory'), text(source, 'directory'));
  },
  gcePersistentDisk: (errors, path, source) => {
    if (text(source, 'pdName') === '') errors.required(path.child('pdName'));
    checkPartition(errors, path, source);
  },
  awsElasticBlockStore: (errors, path, source) => {
    if (text(source, 'volumeID') === '') errors.required(path.child('volumeID'));
    checkPartition(errors, path, source);
  },
  secret: (errors, path, source) => {
    if (text(source, 'secretName') === '') errors.required(path.child('secretName'));
    checkMode(errors, path.child('defaultMode'), countOf(source, 'defaultMode'));
    checkKeyPaths(errors, path.child('items'), parts(source, 'items'));
  },
  nfs: (errors, path, source) => {
    if (text(source, 'server') === '') errors.required(path.child('server'));
    const at = text(source, 'path');
    if (at === '') errors.required(path.child('path'));
    else if (!at.startsWith('/')) errors.invalid(path.child('path'), at, 'must be an absolute path');
  },
  iscsi: (errors, path, source) => {
    if (text(source, 'targetPortal') === '') errors.required(path.child('targetPortal'));
    const iqn = text(source, 'iqn');
    if (iqn === '') errors.required(path.child('iqn'));
    else if (!/^(iqn|eui|naa)/.test(iqn))
      errors.invalid(path.child('iqn'), iqn, 'must be valid format starting with iqn, eui, or naa');
    if (count(source, 'lun') < 0 || count(source, 'lun') > 255) {
      errors.invalid(path.child('lun'), count(source, 'lun'), 'must be between 0 and 255, inclusive');
    }
    if ((flag(source, 'chapAuthDiscovery') || flag(source, 'chapAuthSession')) && !has(source, 'secretRef')) {
      errors.required(path.child('secretRef'));
    }
  },
  glusterfs: needs('endpoints', 'path'),
  flocker: (errors, path, source) => {
    const both = text(source, 'datasetName') !== '' && text(source, 'datasetUUID') !== '';
    const none = text(source, 'datasetName') === '' && text(source, 'datasetUUID') === '';
    if (none) errors.required(path, 'one of datasetName and datasetUUID is required');
    if (both)
      errors.invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously');
    if (text(source, 'datasetName').includes('/')) {
      errors.invalid(path.child('datasetName'), text(source, 'datasetName'), "must not contain '/'");
    }
  },
  persistentVolumeClaim: needs('claimName'),
  rbd: (errors, path, source) => {
    if (parts(source, 'monitors').length === 0) errors.required(path.child('monitors'));
    if (text(source, 'image') === '') errors.required(path.child('image'));
  },
  cephfs: (errors, path, source) => {
    if (parts(source, 'monitors').length === 0) errors.required(path.child('monitors'));
  },
  cinder: needs('volumeID'),
  downwardAPI: (errors, path, source) => {
    checkMode(errors, path.child('defaultMode'), countOf(source, 'defaultMode'));
    for (const file of parts(source, 'items')) checkDownwardFile(errors, path, file);
  },
  fc: (errors, path, source) => {
    const targets = parts(source, 'targetWWNs').length > 0;
    const wwids = parts(source, 'wwids').length > 0;
    if (targets && wwids)
      errors.invalid(
        path.child('targetWWNs'),
        source['targetWWNs'],
        'fc: targetWWNs and wwids can not be specified simultaneously',
      );
    if (!targets && !wwids)
      errors.required(path.child('targetWWNs'), 'specify either targetWWNs or wwids, but not both');
    if (targets) {
      const lun = countOf(source, 'lun');
      if (lun === undefined) errors.required(path.child('lun'), 'lun is required if targetWWNs is specified');
      else if (lun < 0 || lun > 255)
        errors.invalid(path.child('lun'), lun, 'must be between 0 and 255, inclusive');
    }
  },
  flexVolume: needs('driver'),
  configMap: (errors, path, source) => {
    if (text(source, 'name') === '') errors.required(path.child('name'));
    checkMode(errors, path.child('defaultMode'), countOf(source, 'defaultMode'));
    checkKeyPaths(errors, path.child('items'), parts(source, 'items'));
  },
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk: needs('diskName', 'diskURI'),
  storageos: needs('volumeName'),
  quobyte: needs('registry', 'volume'),
  scaleIO: needs('gateway', 'system', 'volumeName'),
  projected: checkProjected,
  csi: (errors, path, source) => {
    checkDriverName(errors, path.child('driver'), text(source, 'driver'));
    const secret = partOf(source, 'nodePublishSecretRef');
    if (secret !== undefined && text(secret, 'name') === '')
      errors.required(path.child('nodePublishSecretRef', 'name'));
  },
  ephemeral: (errors, path, source) => {
    const template = partOf(source, 'volumeClaimTemplate');
    if (template === undefined) {
      errors.required(path.child('volumeClaimTemplate'));
      return;
    }
    const metadata = part(template, 'metadata');
    checkLabels(errors, path.child('volumeClaimTemplate', 'metadata', 'labels'), textMap(metadata, 'labels'));
    checkAnnotations(
      errors,
      path.child('volumeClaimTemplate', 'metadata', 'annotations'),
      textMap(metadata, 'annotations'),
    );
    checkClaimSpec(errors, path.child('volumeClaimTemplate', 'spec'), part(template, 'spec'));
  },
  image: (errors, path, source) => {
    if (text(source, 'reference') === '') errors.required(path.child('reference'));
    const policy = text(source, 'pullPolicy');
    if (policy !== '' && !['Always', 'IfNotPresent', 'Never'].includes(policy)) {
      errors.notSupported(path.child('pullPolicy'), policy, ['Always', 'IfNotPresent', 'Never']);
    }
  },
};

/** The volumes, by name. */
export function checkVolumes(
  errors: FieldErrors,
  path: FieldPath,
  volumes: readonly JsonObject[],
): ReadonlyMap<string, JsonObject> {
  const byName = new Map<string, JsonObject>();
  for (const [index, volume] of volumes.entries()) {
    const at = path.index(index);
    const name = text(volume, 'name');
    const before = errors.size;
    checkVolumeSource(errors, at, volume, name);
    if (name === '') errors.required(at.child('name'));
    else checkDnsLabel(errors, at.child('name'), name);
    if (byName.has(name)) errors.duplicate(at.child('name'), name);
    if (errors.size === before) byName.set(name, volume);
  }
  return byName;
}

function checkVolumeSource(errors: FieldErrors, path: FieldPath, volume: JsonObject, name: string): void {
  let found = 0;
  for (const [source, check] of Object.entries(SOURCES)) {
    const given = partOf(volume, source);
    if (given === undefined) continue;
    found += 1;
    if (found > 1) errors.forbidden(path.child(source), 'may not specify more than 1 volume type');
    else check(errors, path.child(source), given, name);
  }
  if (found === 0) errors.required(path, 'must specify a volume type');
}

/** The source of a persistent volume where it is of one of these types. */
export function checkSharedSource(
  errors: FieldErrors,
  path: FieldPath,
  name: string,
  source: JsonObject,
): void {
  SOURCES[name]?.(errors, path, source, '');
}

function checkPartition(errors: FieldErrors, path: FieldPath, source: JsonObject): void {
  const partition = count(source, 'partition');
  if (partition < 0 || partition > 255) {
    errors.invalid(path.child('partition'), partition, 'must be between 0 and 255, inclusive');
  }
}

function checkMode(errors: FieldErrors, path: FieldPath, mode: number | undefined): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) errors.invalid(path, mode, MODE);
}

function checkKeyPaths(errors: FieldErrors, path: FieldPath, list: readonly JsonObject[]): void {
  for (const [index, item] of list.entries()) {
    const at = path.index(index);
    const key = text(item, 'key');
    if (key === '') errors.required(at.child('key'));
    else errors.invalids(at.child('key'), key, configKeyErrors(key));
    const file = text(item, 'path');
    if (file === '') errors.required(at.child('path'));
    checkRelativePath(errors, at.child('path'), file);
    checkMode(errors, at.child('mode'), countOf(item, 'mode'));
  }
}

function checkDownwardFile(errors: FieldErrors, path: FieldPath, file: JsonObject): void {
  const name = text(file, 'path');
  if (name === '') errors.required(path.child('path'));
  checkRelativePath(errors, path.child('path'), name);
  const field = partOf(file, 'fieldRef');
  const resource = partOf(file, 'resourceFieldRef');
  if (field !== undefined) {
    checkFieldRef(errors, path.child('fieldRef'), field, DOWNWARD_FIELDS);
    if (resource !== undefined)
      errors.invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously');
  } else if (resource !== undefined) {
    checkResourceFieldRef(errors, path.child('resourceFieldRef'), resource, true);
  } else errors.required(path, 'one of fieldRef and resourceFieldRef is required');
  checkMode(errors, path.child('mode'), countOf(file, 'mode'));
}

function checkProjected(errors: FieldErrors, path: FieldPath, projected: JsonObject): void {
  checkMode(errors, path.child('defaultMode'), countOf(projected, 'defaultMode'));
  const files = new Set<string>();
  const file = (at: FieldPath, name: string): void => {
    if (name === '') return;
    if (files.has(name)) errors.invalid(at, name, 'conflicting duplicate paths');
    files.add(name);
  };
  for (const [index, source] of parts(projected, 'sources').entries()) {
    const at = path.child('sources').index(index);
    let found = 0;
    const one = (name: string, check: (place: FieldPath, given: JsonObject) => void): void => {
      const given = partOf(source, name);
      if (given === undefined) return;
      found += 1;
      if (found > 1) errors.forbidden(at, 'may not specify more than 1 volume type per source');
      else check(at.child(name), given);
    };
    for (const name of ['secret', 'configMap']) {
      one(name, (place, given) => {
        if (text(given, 'name') === '') errors.required(place.child('name'));
        checkKeyPaths(errors, place.child('items'), parts(given, 'items'));
        for (const item of parts(given, 'items')) file(path, text(item, 'path'));
      });
    }
    one('downwardAPI', (place, given) => {
      for (const item of parts(given, 'items')) {
        checkDownwardFile(errors, place, item);
        file(place, text(item, 'path'));
      }
    });
    one('serviceAccountToken', (place, given) => {
      const seconds = count(given, 'expirationSeconds');
      if (seconds < 600) {
        errors.invalid(
          place.child('expirationSeconds'),
          seconds,
          'may not specify a duration less than 10 minutes',
        );
      }
      if (seconds > 2 ** 32) {
        errors.invalid(
          place.child('expirationSeconds'),
          seconds,
          'may not specify a duration larger than 2^32 seconds',
        );
      }
      if (text(given, 'path') === '') errors.required(place.child('path'));
      else checkRelativePath(errors, place.child('path'), text(given, 'path'));
      file(path, text(given, 'path'));
    });
    one('clusterTrustBundle', (place, given) => {
      if (has(given, 'name') === has(given, 'signerName')) {
        if (has(given, 'name'))
          errors.invalid(place, given['name'], 'only one of name and signerName may be used');
        else errors.required(place, 'either name or signerName must be specified');
      }
      checkLabelSelector(errors, place.child('labelSelector'), partOf(given, 'labelSelector'));
      if (text(given, 'path') === '') errors.required(place.child('path'));
      checkRelativePath(errors, place.child('path'), text(given, 'path'));
      file(path, text(given, 'path'));
    });
    one('podCertificate', (place, given) => {
      if (text(given, 'signerName') === '') errors.required(place.child('signerName'));
      if (text(given, 'keyType') === '') errors.required(place.child('keyType'));
    });
    if (found === 0) errors.required(at, 'must specify a volume type');
  }
}

/** A path below a directory: not absolute, never upwards. */
export function checkRelativePath(errors: FieldErrors, path: FieldPath, value: string): void {
  if (value.startsWith('/')) {
    errors.invalid(path, value, 'must be a relative path');
    return;
  }
  checkNoBacksteps(errors, path, value);
  if (value.startsWith('..') && !value.startsWith('../')) {
    errors.invalid(path, value, "must not start with '..'");
  }
}

export function checkNoBacksteps(errors: FieldErrors, path: FieldPath, value: string): void {
  if (value.split('/').includes('..')) errors.invalid(path, value, "must not contain '..'");
}

export function checkDriverName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') errors.required(path);
  if (name.length > 63) errors.tooLong(path, 63);
  if (name !== '') errors.invalids(path, name, dnsSubdomainErrors(name.toLowerCase()));
}

/** Where a container mounts volumes and sees block devices. */
export function checkVolumeMounts(
  errors: FieldErrors,
  path: FieldPath,
  container: JsonObject,
  volumes: ReadonlyMap<string, JsonObject>,
): void {
  const places = new Set<string>();
  const devices = new Set(parts(container, 'volumeDevices').map((device) => text(device, 'name')));
  const devicePaths = new Set(parts(container, 'volumeDevices').map((device) => text(device, 'devicePath')));
  const mounts = path.child('volumeMounts');
  for (const [index, mount] of parts(container, 'volumeMounts').entries()) {
    const at = mounts.index(index);
    const name = text(mount, 'name');
    const place = text(mount, 'mountPath');
    if (name === '') errors.required(at.child('name'));
    if (place === '') errors.required(at.child('mountPath'));
    if (name !== '' && !volumes.has(name)) errors.notFound(at.child('name'), name);
    if (places.has(place)) errors.invalid(at.child('mountPath'), place, 'must be unique');
    places.add(place);
    if (devices.has(name)) errors.invalid(at.child('name'), name, 'must not already exist in volumeDevices');
    if (devicePaths.has(place))
      errors.invalid(at.child('mountPath'), place, 'must not already exist as a path in volumeDevices');
    const sub = text(mount, 'subPath');
    const subExpression = text(mount, 'subPathExpr');
    if (sub !== '') checkRelativePath(errors, path.child('subPath'), sub);
    if (subExpression !== '') {
      if (sub !== '')
        errors.invalid(
          at.child('subPathExpr'),
          subExpression,
          'subPathExpr and subPath are mutually exclusive',
        );
      checkRelativePath(errors, path.child('subPathExpr'), subExpression);
    }
    const propagation = text(mount, 'mountPropagation');
    if (propagation !== '') {
      const modes = ['Bidirectional', 'HostToContainer', 'None'];
      if (!modes.includes(propagation)) errors.notSupported(at.child('mountPropagation'), propagation, modes);
      const privileged = flag(part(container, 'securityContext'), 'privileged');
      if (propagation === 'Bidirectional' && !privileged) {
        errors.forbidden(
          at.child('mountPropagation'),
          'Bidirectional mount propagation is available only to privileged containers',
        );
      }
    }
    const recursive = text(mount, 'recursiveReadOnly');
    if (recursive !== '' && recursive !== 'Disabled') {
      const modes = ['Disabled', 'Enabled', 'IfPossible'];
      if (!modes.includes(recursive)) errors.notSupported(at.child('recursiveReadOnly'), recursive, modes);
      else if (!flag(mount, 'readOnly'))
        errors.forbidden(at.child('recursiveReadOnly'), 'may only be specified when readOnly is true');
      else if (propagation !== '' && propagation !== 'None') {
        errors.forbidden(
          at.child('recursiveReadOnly'),
          'may only be specified when mountPropagation is None or not specified',
        );
      }
    }
  }
  checkDevices(errors, path.child('volumeDevices'), container, volumes, places);
}

function checkDevices(
  errors: FieldErrors,
  path: FieldPath,
  container: JsonObject,
  volumes: ReadonlyMap<string, JsonObject>,
  mounted: ReadonlySet<string>,
): void {
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, device] of parts(container, 'volumeDevices').entries()) {
    const at = path.index(index);
    const name = text(device, 'name');
    const place = text(device, 'devicePath');
    if (name === '') errors.required(at.child('name'));
    if (place === '') errors.required(at.child('devicePath'));
    if (place !== '') checkNoBacksteps(errors, at.child('devicePath'), place);
    if (paths.has(place)) errors.invalid(at.child('devicePath'), place, 'must be unique');
    if (mounted.has(place))
      errors.invalid(at.child('devicePath'), place, 'must not already exist as a path in volumeMounts');
    if (names.has(name)) errors.invalid(at.child('name'), name, 'must be unique');
    names.add(name);
    paths.add(place);
    const volume = volumes.get(name);
    if (volume === undefined) {
      if (name !== '') errors.notFound(at.child('name'), name);
    } else if (
      !has(volume, 'persistentVolumeClaim') &&
      !has(volume, 'ephemeral') &&
      !has(volume, 'claimTemplate')
    ) {
      errors.invalid(
        at.child('name'),
        name,
        'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
      );
    }
  }
}
