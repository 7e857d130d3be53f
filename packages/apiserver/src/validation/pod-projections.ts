/**
 * Files that a pod's volume shows of other objects: keys of secrets and config maps, fields of the pod, tokens,
 * trust bundles, certificates. Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { shownTrustBundle } from './go-shape.ts';
import { checkLabelSelector } from './labels.ts';
import { checkUnreservedPath } from './local-paths.ts';
import { dnsSubdomainErrors } from './names.ts';
import { checkFieldRef, checkResourceFieldRef } from './pod-env.ts';
import { checkSignerName } from './signers.ts';
import { count, countOf, has, partOf, parts, text } from './value.ts';

const MODE = 'must be a number between 0 and 0777 (octal), both inclusive';
const DOWNWARD_FIELDS: readonly string[] = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
const TOKEN_SECONDS_MIN = 600;

export function checkMode(errors: FieldErrors, path: FieldPath, mode: number | undefined): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) errors.invalid(path, mode, MODE);
}

/** The volume sources secret and configMap. @param name what the object's name is called there */
export function checkKeySource(errors: FieldErrors, path: FieldPath, source: JsonObject, name: string): void {
  if (text(source, name) === '') errors.required(path.child(name));
  checkMode(errors, path.child('defaultMode'), countOf(source, 'defaultMode'));
  checkKeyPaths(errors, path.child('items'), parts(source, 'items'));
}

function checkKeyPaths(errors: FieldErrors, path: FieldPath, list: readonly JsonObject[]): void {
  for (const [index, item] of list.entries()) {
    const at = path.index(index);
    if (text(item, 'key') === '') errors.required(at.child('key'));
    const file = text(item, 'path');
    if (file === '') errors.required(at.child('path'));
    checkUnreservedPath(errors, at.child('path'), file);
    checkMode(errors, at.child('mode'), countOf(item, 'mode'));
  }
}

/** The volume source downwardAPI. */
export function checkDownwardSource(errors: FieldErrors, path: FieldPath, source: JsonObject): void {
  checkMode(errors, path.child('defaultMode'), countOf(source, 'defaultMode'));
  for (const file of parts(source, 'items')) checkDownwardFile(errors, path, file);
}

/** @param path of the source: the original does not say which of its files it is */
function checkDownwardFile(errors: FieldErrors, path: FieldPath, file: JsonObject): void {
  const name = text(file, 'path');
  if (name === '') errors.required(path.child('path'));
  checkUnreservedPath(errors, path.child('path'), name);
  const field = partOf(file, 'fieldRef');
  const resource = partOf(file, 'resourceFieldRef');
  if (field !== undefined) {
    checkFieldRef(errors, path.child('fieldRef'), field, DOWNWARD_FIELDS);
    if (resource !== undefined) {
      errors.invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously');
    }
  } else if (resource !== undefined) {
    checkResourceFieldRef(errors, path.child('resourceFieldRef'), resource, true);
  } else errors.required(path, 'one of fieldRef and resourceFieldRef is required');
  checkMode(errors, path.child('mode'), countOf(file, 'mode'));
}

/** The volume source projected. */
export function checkProjected(errors: FieldErrors, path: FieldPath, projected: JsonObject): void {
  checkMode(errors, path.child('defaultMode'), countOf(projected, 'defaultMode'));
  const files = new Set<string>();
  const claim = (name: string, shown: string): void => {
    if (files.has(name)) errors.invalid(path, shown, 'conflicting duplicate paths');
    files.add(name);
  };
  for (const [index, source] of parts(projected, 'sources').entries()) {
    const at = path.child('sources').index(index);
    let kinds = 0;
    for (const [kind, check] of Object.entries(PROJECTIONS)) {
      const given = partOf(source, kind);
      if (given === undefined) continue;
      kinds += 1;
      check(errors, at.child(kind), given, { whole: path, claim });
    }
    if (kinds > 1) errors.forbidden(at, 'may not specify more than 1 volume type per source');
  }
}

interface Projection {
  /** The path of the volume's source: some errors stand there. */
  readonly whole: FieldPath;
  /** Takes a file's path. @param shown what the error shows */
  readonly claim: (name: string, shown: string) => void;
}

type ProjectionCheck = (
  errors: FieldErrors,
  path: FieldPath,
  given: JsonObject,
  projection: Projection,
) => void;

const keysOf: ProjectionCheck = (errors, path, given, { claim }) => {
  const name = text(given, 'name');
  if (name === '') errors.required(path.child('name'));
  checkKeyPaths(errors, path.child('items'), parts(given, 'items'));
  for (const item of parts(given, 'items')) {
    if (text(item, 'path') !== '') claim(text(item, 'path'), name);
  }
};

const PROJECTIONS: Readonly<Record<string, ProjectionCheck>> = {
  secret: keysOf,
  configMap: keysOf,
  downwardAPI(errors, path, given, { claim }) {
    for (const item of parts(given, 'items')) {
      checkDownwardFile(errors, path, item);
      if (text(item, 'path') !== '') claim(text(item, 'path'), text(item, 'path'));
    }
  },
  serviceAccountToken(errors, path, given, { whole }) {
    const at = path.child('expirationSeconds');
    const seconds = count(given, 'expirationSeconds');
    if (seconds < TOKEN_SECONDS_MIN) {
      errors.invalid(at, seconds, 'may not specify a duration less than 10 minutes');
    }
    if (seconds > 2 ** 32) {
      errors.invalid(at, seconds, 'may not specify a duration larger than 2^32 seconds');
    }
    const file = text(given, 'path');
    if (file === '') errors.required(whole.child('path'));
    else checkUnreservedPath(errors, whole.child('path'), file);
  },
  clusterTrustBundle(errors, path, given, { claim }) {
    const name = text(given, 'name');
    if (has(given, 'name') && has(given, 'signerName')) {
      errors.invalid(path, shownTrustBundle(given), 'only one of name and signerName may be used');
    } else if (has(given, 'name')) {
      if (name === '') errors.required(path.child('name'), 'must be a valid object name');
      for (const wrong of trustBundleNameErrors(name)) {
        errors.invalid(path.child('name'), name, `not a valid clustertrustbundlename: ${wrong}`);
      }
      if (has(given, 'labelSelector')) {
        const at = path.child('labelSelector');
        errors.invalid(at, given['labelSelector'], 'labelSelector must be unset if name is specified');
      }
    } else if (has(given, 'signerName')) {
      const signer = text(given, 'signerName');
      if (signer === '') errors.required(path.child('signerName'), 'must be a valid signer name');
      checkSignerName(errors, path.child('signerName'), signer);
      checkLabelSelector(errors, path.child('labelSelector'), partOf(given, 'labelSelector'));
    } else errors.required(path, 'either name or signerName must be specified');
    const file = text(given, 'path');
    if (file === '') errors.required(path.child('path'));
    checkUnreservedPath(errors, path.child('path'), file);
    claim(file, file);
  },
  podCertificate(errors, path, given) {
    checkSignerName(errors, path.child('signerName'), text(given, 'signerName'));
    if (text(given, 'keyType') === '') errors.required(path.child('keyType'));
  },
};

/** A bundle with a signer is called after it, `example.com:signer:rest`; one without has no colon. */
function trustBundleNameErrors(name: string): string[] {
  const parts = name.split(':');
  return dnsSubdomainErrors(parts.length === 1 ? name : parts[parts.length - 1]);
}
