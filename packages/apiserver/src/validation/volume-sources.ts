/**
 * Where a volume's bytes come from: the sources that pods and persistent volumes share, each with its own rules.
 * Knows no projections and no claims of pods (pod-volumes.ts). Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkDescendingPath, checkNoBacksteps } from './local-paths.ts';
import { dnsSubdomainErrors, rangeErrors } from './names.ts';
import { checkDnsLabel, checkDnsSubdomain, checkOptionalEnum } from './scalars.ts';
import { count, countOf, flag, has, part, partOf, text, textOf, texts } from './value.ts';

/** @param persistent the volume is the cluster's: its secrets have namespaces */
export type SourceCheck = (
  errors: FieldErrors,
  path: FieldPath,
  source: JsonObject,
  persistent: boolean,
) => void;

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
const CACHING_MODES: readonly string[] = ['None', 'ReadOnly', 'ReadWrite'];
const DISK_KINDS: readonly string[] = ['Dedicated', 'Managed', 'Shared'];
const MANAGED_DISK =
  '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}';
const BLOB_DISK = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd';
const REGISTRY = 'must be a host:port pair or multiple pairs separated by commas';
const TENANT_LENGTH_MAX = 64;
const DRIVER_LENGTH_MAX = 63;

/** The forms of an iSCSI name, by how it begins. */
const ISCSI_NAMES: Readonly<Record<string, RegExp>> = {
  iqn: /iqn\.[0-9]{4}-[0-9]{2}\.([a-zA-Z0-9.-]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[a-zA-Z0-9]{16}$/,
  naa: /^naa.[a-zA-Z0-9]{32}$/,
};

/** A field of the source that may not be empty. */
const needs =
  (...names: readonly string[]): SourceCheck =>
  (errors, path, source) => {
    for (const name of names) if (text(source, name) === '') errors.required(path.child(name));
  };

const needsMonitors: SourceCheck = (errors, path, source) => {
  if (texts(source, 'monitors').length === 0) errors.required(path.child('monitors'));
};

export const SHARED_SOURCES: Readonly<Record<string, SourceCheck>> = {
  hostPath(errors, path, source) {
    const at = text(source, 'path');
    if (at === '') {
      errors.required(path.child('path'));
      return;
    }
    checkNoBacksteps(errors, path.child('path'), at);
    checkOptionalEnum(errors, path.child('type'), textOf(source, 'type'), HOST_PATH_TYPES);
  },
  gitRepo(errors, path, source) {
    needs('repository')(errors, path, source, false);
    checkDescendingPath(errors, path.child('directory'), text(source, 'directory'));
  },
  gcePersistentDisk(errors, path, source) {
    needs('pdName')(errors, path, source, false);
    checkPartition(errors, path, source);
  },
  awsElasticBlockStore(errors, path, source) {
    needs('volumeID')(errors, path, source, false);
    checkPartition(errors, path, source);
  },
  nfs(errors, path, source) {
    needs('server', 'path')(errors, path, source, false);
    const at = text(source, 'path');
    if (!at.startsWith('/')) errors.invalid(path.child('path'), at, 'must be an absolute path');
  },
  iscsi: checkIscsi,
  glusterfs(errors, path, source, persistent) {
    needs('endpoints', 'path')(errors, path, source, persistent);
    if (!persistent || !has(source, 'endpointsNamespace')) return;
    const at = path.child('endpointsNamespace');
    const namespace = text(source, 'endpointsNamespace');
    if (namespace !== '') checkDnsLabel(errors, at, namespace);
    else errors.invalid(at, '', 'if the endpointnamespace is set, it must be a valid namespace name');
  },
  flocker(errors, path, source) {
    const name = text(source, 'datasetName');
    const uuid = text(source, 'datasetUUID');
    if (name === '' && uuid === '') {
      errors.required(path, 'one of datasetName and datasetUUID is required');
    }
    if (name !== '' && uuid !== '') {
      errors.invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously');
    }
    if (name.includes('/')) errors.invalid(path.child('datasetName'), name, "must not contain '/'");
  },
  rbd(errors, path, source) {
    needsMonitors(errors, path, source, false);
    needs('image')(errors, path, source, false);
  },
  cinder(errors, path, source, persistent) {
    needs('volumeID')(errors, path, source, persistent);
    checkSecretNames(errors, path, source, persistent);
  },
  cephfs: needsMonitors,
  quobyte(errors, path, source) {
    const registry = text(source, 'registry');
    if (registry === '') errors.required(path.child('registry'), REGISTRY);
    else if (text(source, 'tenant').length > TENANT_LENGTH_MAX) {
      errors.required(path.child('tenant'), 'must be a UUID and may not exceed a length of 64 characters');
    } else {
      for (const pair of registry.split(',')) {
        if (!isHostPort(pair)) errors.invalid(path.child('registry'), registry, REGISTRY);
      }
    }
    needs('volume')(errors, path, source, false);
  },
  fc(errors, path, source) {
    const at = path.child('targetWWNs');
    const targets = texts(source, 'targetWWNs');
    const wwids = texts(source, 'wwids');
    if (targets.length === 0 && wwids.length === 0) {
      errors.required(at, 'must specify either targetWWNs or wwids, but not both');
    }
    if (targets.length > 0 && wwids.length > 0) {
      errors.invalid(at, targets, 'targetWWNs and wwids can not be specified simultaneously');
    }
    if (targets.length === 0) return;
    const lun = countOf(source, 'lun');
    if (lun === undefined) errors.required(path.child('lun'), 'lun is required if targetWWNs is specified');
    else errors.invalids(path.child('lun'), lun, rangeErrors(lun, 0, 255));
  },
  flexVolume(errors, path, source) {
    needs('driver')(errors, path, source, false);
    for (const key of Object.keys(part(source, 'options'))) {
      const domain = `.${key.split('/', 1)[0].toLowerCase()}`;
      if (!domain.endsWith('.kubernetes.io') && !domain.endsWith('.k8s.io')) continue;
      const at = path.child('options').key(key);
      errors.invalid(at, key, 'kubernetes.io and k8s.io namespaces are reserved');
    }
  },
  azureFile(errors, path, source, persistent) {
    needs('secretName', 'shareName')(errors, path, source, persistent);
    if (persistent && has(source, 'secretNamespace')) {
      needs('secretNamespace')(errors, path, source, persistent);
    }
  },
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk(errors, path, source) {
    needs('diskName', 'diskURI')(errors, path, source, false);
    checkOptionalEnum(errors, path.child('cachingMode'), textOf(source, 'cachingMode'), CACHING_MODES);
    const kind = textOf(source, 'kind');
    checkOptionalEnum(errors, path.child('kind'), kind, DISK_KINDS);
    if (kind === undefined) return;
    const uri = text(source, 'diskURI');
    const managed = kind === 'Managed';
    if (uri.startsWith(managed ? '/subscriptions/' : 'https://')) return;
    errors.notSupported(path.child('diskURI'), uri, [managed ? MANAGED_DISK : BLOB_DISK]);
  },
  storageos(errors, path, source, persistent) {
    const name = text(source, 'volumeName');
    if (name === '') errors.required(path.child('volumeName'));
    else checkDnsLabel(errors, path.child('volumeName'), name);
    const namespace = text(source, 'volumeNamespace');
    if (namespace !== '') checkDnsLabel(errors, path.child('volumeNamespace'), namespace);
    checkSecretNames(errors, path, source, persistent);
  },
  scaleIO: needs('gateway', 'system', 'volumeName'),
  local(errors, path, source) {
    const at = text(source, 'path');
    if (at === '') errors.required(path.child('path'));
    else checkNoBacksteps(errors, path.child('path'), at);
  },
  csi(errors, path, source, persistent) {
    checkDriverName(errors, path.child('driver'), text(source, 'driver'));
    if (!persistent) {
      const secret = partOf(source, 'nodePublishSecretRef');
      if (secret === undefined) return;
      const name = text(secret, 'name');
      if (name === '') errors.required(path.child('nodePublishSecretRef', 'name'));
      else checkDnsSubdomain(errors, path.child('name'), name);
      return;
    }
    needs('volumeHandle')(errors, path, source, persistent);
    for (const field of SECRETS) {
      const secret = partOf(source, field);
      if (secret !== undefined) checkSecretReference(errors, path.child(field), secret);
    }
  },
};

/** In the order the original asks for them; a secret for staging it does not ask. */
const SECRETS: readonly string[] = [
  'controllerPublishSecretRef',
  'controllerExpandSecretRef',
  'nodePublishSecretRef',
  'nodeExpandSecretRef',
];

function checkPartition(errors: FieldErrors, path: FieldPath, source: JsonObject): void {
  const partition = count(source, 'partition');
  // The text speaks of 1, and 0 passes: it stands for none.
  if (partition < 0 || partition > 255) {
    errors.invalid(path.child('partition'), partition, 'must be between 1 and 255, inclusive');
  }
}

function checkIscsi(errors: FieldErrors, path: FieldPath, source: JsonObject, persistent: boolean): void {
  needs('targetPortal')(errors, path, source, persistent);
  const iqn = text(source, 'iqn');
  if (iqn === '') errors.required(path.child('iqn'));
  else checkIscsiName(errors, path.child('iqn'), iqn, persistent);
  errors.invalids(path.child('lun'), count(source, 'lun'), rangeErrors(count(source, 'lun'), 0, 255));
  const chap = flag(source, 'chapAuthDiscovery') || flag(source, 'chapAuthSession');
  if (chap && !has(source, 'secretRef')) errors.required(path.child('secretRef'));
  if (persistent && has(source, 'secretRef') && text(part(source, 'secretRef'), 'name') === '') {
    errors.required(path.child('secretRef', 'name'));
  }
  const initiator = textOf(source, 'initiatorName');
  if (initiator !== undefined) checkIscsiName(errors, path.child('initiatorname'), initiator, persistent);
}

function checkIscsiName(errors: FieldErrors, path: FieldPath, name: string, persistent: boolean): void {
  const form = Object.entries(ISCSI_NAMES).find(([start]) => name.startsWith(start));
  if (form === undefined) {
    const how = persistent ? '' : ' starting with iqn, eui, or naa';
    errors.invalid(path, name, `must be valid format${how}`);
  } else if (!form[1].test(name)) errors.invalid(path, name, 'must be valid format');
}

/** A secret by its name; of a persistent volume with a namespace. */
function checkSecretNames(
  errors: FieldErrors,
  path: FieldPath,
  source: JsonObject,
  persistent: boolean,
): void {
  const secret = partOf(source, 'secretRef');
  if (secret === undefined) return;
  needs(...(persistent ? ['name', 'namespace'] : ['name']))(
    errors,
    path.child('secretRef'),
    secret,
    persistent,
  );
}

function checkSecretReference(errors: FieldErrors, path: FieldPath, secret: JsonObject): void {
  const name = text(secret, 'name');
  const namespace = text(secret, 'namespace');
  if (name === '') errors.required(path.child('name'));
  else checkDnsSubdomain(errors, path.child('name'), name);
  if (namespace === '') errors.required(path.child('namespace'));
  else checkDnsLabel(errors, path.child('namespace'), namespace);
}

/** Go's net.SplitHostPort: one colon, or brackets around what has more. */
function isHostPort(pair: string): boolean {
  return /^(\[[^[\]]*\]|[^[\]:]*):[^[\]:]*$/.test(pair);
}

/** A CSI driver's name. */
export function checkDriverName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') {
    errors.required(path);
    return;
  }
  if (name.length > DRIVER_LENGTH_MAX) errors.tooLong(path, DRIVER_LENGTH_MAX);
  errors.invalids(path, name, dnsSubdomainErrors(name.toLowerCase()));
}
