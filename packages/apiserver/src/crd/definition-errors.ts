/**
 * All that may be wrong with a CustomResourceDefinition: names, scope, versions, schemas, subresources, columns,
 * selectable fields, conversion, stored versions, approval. What all versions say alike is told of where the original
 * keeps it inside (`spec.validation`, not `spec.versions[0].schema`), for people search for those texts.
 *
 * Modelled on apiextensions-apiserver's apis/apiextensions/validation.
 */

import { equalJson } from '../api/equal.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../validation/names.ts';
import { checkImmutable } from '../validation/scalars.ts';
import { flag, part, partOf, parts, text, textOf, texts } from '../validation/value.ts';
import { checkApproval } from './approval.ts';
import { isConditionTrue } from './conditions.ts';
import { mayBeWrong } from './conversion-bundle.ts';
import { checkConversion } from './conversion-errors.ts';
import { checkDefaults, type DefaultCheck } from './default-errors.ts';
import { goSchema, goVersion, type LiftedMembers } from './go-form.ts';
import type { RuleCheck } from './rules.ts';
import { checkSchema } from './schema-errors.ts';
import { structuralErrors, unsupportedMember } from './structural-errors.ts';
import { checkColumns, checkSelectable, checkSubresources } from './version-errors.ts';

const SPEC = FieldPath.of('spec');
const STATUS = FieldPath.of('status');
const WARNING_MAX = 256;

export interface DefinitionCheck extends DefaultCheck {
  /** Compiles the rules of a schema. */
  readonly rules: RuleCheck;
}

/** @param old the definition before; undefined when it is made */
export function definitionErrors(
  object: KubeObject,
  old: KubeObject | undefined,
  check: DefinitionCheck,
): FieldErrors {
  const errors = new FieldErrors();
  const spec = part(object, 'spec');
  if (old === undefined) checkName(errors, object, spec);
  checkSpec(errors, spec, old, check);
  if (old !== undefined) checkUnchanged(errors, spec, part(old, 'spec'), isConditionTrue(old, 'Established'));
  checkStatus(errors, object);
  checkStoredVersions(errors, object);
  checkApproval(errors, object, old);
  if (
    flag(spec, 'preserveUnknownFields') &&
    (old === undefined || !flag(part(old, 'spec'), 'preserveUnknownFields'))
  ) {
    errors.invalid(
      SPEC.child('preserveUnknownFields'),
      true,
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
    );
  }
  return errors;
}

function checkName(errors: FieldErrors, object: KubeObject, spec: JsonObject): void {
  const { name = '' } = object.metadata;
  if (name !== '' && name !== `${text(part(spec, 'names'), 'plural')}.${text(spec, 'group')}`) {
    errors.invalid(FieldPath.of('metadata', 'name'), name, 'must be spec.names.plural+"."+spec.group');
  }
}

/** Names in the status, which the server itself writes mostly. */
export function checkStatus(errors: FieldErrors, object: KubeObject): void {
  checkNames(errors, part(part(object, 'status'), 'acceptedNames'), STATUS.child('acceptedNames'));
}

function checkSpec(
  errors: FieldErrors,
  spec: JsonObject,
  old: KubeObject | undefined,
  check: DefinitionCheck,
): void {
  const group = text(spec, 'group');
  if (group === '') errors.required(SPEC.child('group'));
  else {
    const wrong = dnsSubdomainErrors(group);
    if (wrong.length > 0) errors.invalid(SPEC.child('group'), group, wrong.join(','));
    else if (!group.includes('.')) {
      errors.invalid(SPEC.child('group'), group, 'should be a domain with at least one dot');
    }
  }
  const scope = text(spec, 'scope');
  if (scope === '') errors.required(SPEC.child('scope'));
  else if (scope !== 'Cluster' && scope !== 'Namespaced') {
    errors.notSupported(SPEC.child('scope'), scope, ['Cluster', 'Namespaced']);
  }
  const versions = parts(spec, 'versions');
  const lifted = liftedOf(versions);
  const preserves = flag(spec, 'preserveUnknownFields');
  const oldVersions = old === undefined ? [] : parts(part(old, 'spec'), 'versions');
  const requiresSchema = oldVersions.every(
    (version) => partOf(part(version, 'schema'), 'openAPIV3Schema') !== undefined,
  );
  if (requiresSchema) {
    for (const [index, version] of versions.entries()) {
      if (partOf(part(version, 'schema'), 'openAPIV3Schema') === undefined) {
        errors.required(SPEC.child('versions').index(index).child('schema', 'openAPIV3Schema'));
      }
    }
  }
  if (
    preserves &&
    versions.some((version) => hasDefaults(part(part(version, 'schema'), 'openAPIV3Schema')))
  ) {
    errors.invalid(
      SPEC.child('preserveUnknownFields'),
      true,
      'must be false in order to use defaults in the schema',
    );
  }
  for (const [index, version] of versions.entries()) {
    checkVersion(errors, version, SPEC.child('versions').index(index), lifted, check);
  }
  checkVersions(errors, versions, lifted);
  checkSpecNames(errors, part(spec, 'names'));
  const first = versions.at(0);
  if (first !== undefined) {
    const status = versions.some((version) => partOf(part(version, 'subresources'), 'status') !== undefined);
    if (lifted.schema)
      checkValidation(errors, part(first, 'schema'), SPEC.child('validation'), status, check);
    if (lifted.subresources) {
      checkSubresources(errors, part(first, 'subresources'), SPEC.child('subresources'));
    }
    if (lifted.columns) checkColumns(errors, first, SPEC.child('additionalPrinterColumns'));
    if (lifted.selectable) checkSelectable(errors, first, SPEC.child('selectableFields'));
  }
  const conversion = partOf(spec, 'conversion');
  if (conversion === undefined) return;
  if (text(conversion, 'strategy') !== 'None' && preserves) {
    errors.invalid(
      SPEC.child('conversion', 'strategy'),
      text(conversion, 'strategy'),
      'must be None if spec.preserveUnknownFields is true',
    );
  }
  checkConversion(errors, conversion, SPEC.child('conversion'), mayBeWrong(old));
}

/** What all versions say alike. */
export function liftedOf(versions: readonly JsonObject[]): LiftedMembers {
  const alike = (name: string): boolean => {
    const first = versions.at(0)?.[name];
    return isThere(first) && versions.every((version) => equalJson(version[name], first));
  };
  return {
    schema: alike('schema'),
    subresources: alike('subresources'),
    columns: alike('additionalPrinterColumns'),
    selectable: alike('selectableFields'),
  };
}

function isThere(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : isJsonObject(value);
}

function checkVersion(
  errors: FieldErrors,
  version: JsonObject,
  path: FieldPath,
  lifted: LiftedMembers,
  check: DefinitionCheck,
): void {
  const name = text(version, 'name');
  const wrong = dns1035LabelErrors(name);
  if (wrong.length > 0) errors.invalid(path.child('name'), name, wrong.join(','));
  checkDeprecation(errors, version, path.child('deprecationWarning'));
  const schema = partOf(version, 'schema');
  const status = partOf(part(version, 'subresources'), 'status') !== undefined;
  if (schema !== undefined && !lifted.schema) {
    checkValidation(errors, schema, path.child('schema'), status, check);
  }
  if (!lifted.subresources)
    checkSubresources(errors, part(version, 'subresources'), path.child('subresources'));
  if (!lifted.columns) checkColumns(errors, version, path.child('additionalPrinterColumns'));
  if (lifted.selectable) return;
  const at = path.child('selectableFields');
  // The original keeps a schema that all share elsewhere, and looks for it here.
  if (lifted.schema && isThere(version['selectableFields'])) {
    errors.invalid(at, '', 'may only be set when `version.schema.openAPIV3Schema` is not included');
  } else checkSelectable(errors, version, at);
}

function checkDeprecation(errors: FieldErrors, version: JsonObject, path: FieldPath): void {
  const warning = textOf(version, 'deprecationWarning');
  if (warning === undefined) return;
  if (!flag(version, 'deprecated')) {
    errors.invalid(path, warning, 'can only be set for deprecated versions');
    return;
  }
  if (Buffer.byteLength(warning) > WARNING_MAX)
    errors.invalid(path, warning, 'must be <= 256 characters long');
  if (warning === '') errors.invalid(path, warning, 'must not be an empty string');
  const at = warning.search(/[\p{C}\p{Zl}\p{Zp}]/u);
  if (at >= 0) {
    errors.invalid(
      path,
      warning,
      `must only contain printable UTF-8 characters; non-printable character found at index ${Buffer.byteLength(warning.slice(0, at))}`,
    );
  }
}

function checkVersions(errors: FieldErrors, versions: readonly JsonObject[], lifted: LiftedMembers): void {
  const at = SPEC.child('versions');
  const shown = (): JsonObject[] => versions.map((version) => goVersion(version, lifted));
  const names = new Set(versions.map((version) => text(version, 'name')));
  if (names.size < versions.length) errors.invalid(at, shown(), 'must contain unique version names');
  if (versions.filter((version) => flag(version, 'storage')).length !== 1) {
    errors.invalid(at, shown(), 'must have exactly one version marked as storage version');
  }
  // The original keeps the first one's name beside the versions, and looks at it there again.
  const first = text(versions.at(0) ?? {}, 'name');
  const wrong = first === '' ? [] : dns1035LabelErrors(first);
  if (wrong.length > 0) errors.invalid(SPEC.child('version'), first, wrong.join(','));
}

function checkSpecNames(errors: FieldErrors, names: JsonObject): void {
  for (const name of ['plural', 'singular', 'kind', 'listKind']) {
    if (text(names, name) === '') errors.required(SPEC.child('names', name));
  }
  checkNames(errors, names, SPEC.child('names'));
}

function checkNames(errors: FieldErrors, names: JsonObject, path: FieldPath): void {
  for (const name of ['plural', 'singular']) {
    const value = text(names, name);
    if (value !== '') checkLabel(errors, value, path.child(name));
  }
  for (const name of ['kind', 'listKind']) {
    const value = text(names, name);
    const wrong = value === '' ? [] : dns1035LabelErrors(value.toLowerCase());
    if (wrong.length > 0) {
      errors.invalid(
        path.child(name),
        value,
        `may have mixed case, but should otherwise match: ${wrong.join(',')}`,
      );
    }
  }
  for (const [index, name] of texts(names, 'shortNames').entries()) {
    checkLabel(errors, name, path.child('shortNames').index(index));
  }
  const kind = text(names, 'kind');
  if (kind !== '' && kind === text(names, 'listKind')) {
    errors.invalid(path.child('listKind'), kind, 'kind and listKind may not be the same');
  }
  for (const [index, name] of texts(names, 'categories').entries()) {
    checkLabel(errors, name, path.child('categories').index(index));
  }
}

function checkLabel(errors: FieldErrors, value: string, path: FieldPath): void {
  const wrong = dns1035LabelErrors(value);
  if (wrong.length > 0) errors.invalid(path, value, wrong.join(','));
}

function checkUnchanged(errors: FieldErrors, spec: JsonObject, old: JsonObject, established: boolean): void {
  const [names, before] = [part(spec, 'names'), part(old, 'names')];
  if (established) {
    checkImmutable(errors, SPEC.child('scope'), spec['scope'], old['scope']);
    checkImmutable(errors, SPEC.child('names', 'kind'), names['kind'], before['kind']);
  }
  checkImmutable(errors, SPEC.child('group'), spec['group'], old['group']);
  checkImmutable(errors, SPEC.child('names', 'plural'), names['plural'], before['plural']);
}

function checkStoredVersions(errors: FieldErrors, object: KubeObject): void {
  const at = STATUS.child('storedVersions');
  const stored = texts(part(object, 'status'), 'storedVersions');
  if (stored.length === 0) {
    errors.invalid(at, null, 'must have at least one stored version');
    return;
  }
  const versions = parts(part(object, 'spec'), 'versions');
  for (const version of versions) {
    const name = text(version, 'name');
    if (flag(version, 'storage') && !stored.includes(name)) {
      errors.invalid(at, stored, `must have the storage version ${name}`);
    }
  }
  for (const [index, name] of stored.entries()) {
    if (versions.some((version) => text(version, 'name') === name)) continue;
    errors.invalid(
      at.index(index),
      name,
      `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
    );
  }
}

/** Members of the root that stay true of the status when it alone is looked at; in the original's order and words. */
const ROOT_MEMBERS =
  'Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations';
const ROOT_NAMES: ReadonlySet<string> = new Set([
  ...ROOT_MEMBERS.split(' ').map((name) => name[0].toLowerCase() + name.slice(1)),
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
]);

function checkValidation(
  errors: FieldErrors,
  validation: JsonObject,
  path: FieldPath,
  status: boolean,
  check: DefinitionCheck,
): void {
  const schema = partOf(validation, 'openAPIV3Schema');
  if (schema === undefined) return;
  const at = path.child('openAPIV3Schema');
  const start = errors.size;
  if (status) checkRootMembers(errors, schema, at);
  if (schema['nullable'] === true) {
    errors.forbidden(path.child('openAPIV3Schema.nullable'), 'nullable cannot be true at the root');
  }
  const before = errors.size;
  const unsupported = unsupportedMember(schema);
  if (unsupported === undefined) {
    const structural = structuralErrors(schema, at);
    errors.list.push(...structural);
    if (structural.length === 0) checkDefaults(errors, new Structural(schema), at, check);
  }
  const sound = errors.size === before;
  const told = errors.size;
  checkSchema(errors, schema, at);
  // Mostly that has said it already.
  if (unsupported !== undefined && errors.size === start) {
    errors.invalid(at, '', `OpenAPIV3Schema '${unsupported}' is not supported`);
  }
  if (sound && errors.size === told) check.rules(errors, schema, at);
}

function checkRootMembers(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  const type = text(schema, 'type');
  if (type !== '' && type !== 'object') {
    errors.invalid(
      path.child('type'),
      type,
      'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
    );
    return;
  }
  if (Object.keys(schema).every((name) => ROOT_NAMES.has(name))) return;
  errors.invalid(
    path,
    goSchema(schema),
    `only [${ROOT_MEMBERS}] fields are allowed at the root of the schema if the status subresource is enabled`,
  );
}

function hasDefaults(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.some((item) => hasDefaults(item));
  if (!isJsonObject(schema)) return false;
  if (schema['default'] !== undefined) return true;
  return Object.values(schema).some((value) => hasDefaults(value));
}
