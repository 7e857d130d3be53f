/**
 * Node: a machine that runs pods. Modelled on ValidateNode and ValidateNodeUpdate of kubernetes' pkg/apis/core/validation;
 * paths and texts are its own.
 */

import { goQuote } from '@keelson/base';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { networkErrors, parseNetwork } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { configKeyErrors, dnsLabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { checkTaints } from '../../validation/pod-placement.ts';
import { checkResourceAmount } from '../../validation/pod-resources.ts';
import { has, part, partOf, parts, text, texts, withField, without } from '../../validation/value.ts';
import { defineKind, METADATA, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';

export const nodes = defineKind({
  group: '',
  types: 'core',
  resource: 'nodes',
  kind: 'Node',
  scope: 'Cluster',
  shortNames: ['no'],
  keyPrefix: 'minions',
  checks: {
    check(errors, object) {
      const spec = part(object, 'spec');
      checkTaints(errors, METADATA.child('taints'), parts(spec, 'taints'));
      checkAmounts(errors, object);
      checkFeatures(errors, object);
      checkPodNetworks(errors, texts(spec, 'podCIDRs'));
    },
    // Configuration from the cluster is no more: what had some keeps it.
    prepareForCreate: (object) => ({
      ...object,
      ...(has(object, 'spec') ? { spec: without(part(object, 'spec'), 'configSource') } : {}),
      ...(has(object, 'status') ? { status: without(part(object, 'status'), 'config') } : {}),
    }),
    prepareForUpdate: (object, old) =>
      has(part(old, 'spec'), 'configSource')
        ? object
        : withField(object, 'spec', without(part(object, 'spec'), 'configSource')),
    checkUpdate(errors, object, old) {
      checkAddresses(errors, object);
      checkSpecKept(errors, object, old);
    },
    warnings: nodeWarnings,
    status: {
      onCreate: true,
      prepare: (object, old) =>
        has(part(old, 'status'), 'config')
          ? object
          : withField(object, 'status', without(part(object, 'status'), 'config')),
      check(errors, object, old) {
        checkAmounts(errors, object);
        checkFeatures(errors, object);
        checkAddresses(errors, object);
        checkSpecKept(errors, object, old);
      },
    },
  },
  selectable: selectableAt(['spec.unschedulable'], { 'spec.unschedulable': 'false' }),
});

/** What holds of an update through either endpoint. */
function checkSpecKept(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const spec = part(object, 'spec');
  checkKept(errors, spec, part(old, 'spec'));
  const configured = partOf(spec, 'configSource');
  if (configured !== undefined) checkSource(errors, SPEC.child('configSource'), configured, false);
  checkStatusConfig(errors, object);
  checkTaints(errors, METADATA.child('taints'), parts(spec, 'taints'));
  if (text(part(old, 'spec'), 'externalID') !== text(spec, 'externalID')) {
    errors.forbidden(SPEC.child('externalID'), 'may not be updated');
  }
}

/** What the original says of a node that names an external ID or configuration. */
function nodeWarnings(object: KubeObject): string[] {
  const spec = part(object, 'spec');
  const warnings: string[] = [];
  if (has(spec, 'configSource')) warnings.push('spec.configSource: the feature is removed');
  if (text(spec, 'externalID') !== '')
    warnings.push('spec.externalID: this field is deprecated, and is unused by Kubernetes');
  return warnings;
}

const FEATURE = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/;
const FEATURE_LENGTH_MAX = 253;

function featureErrors(name: string): string[] {
  const said = `invalid feature name ${goQuote(name)}: must`;
  if (name.length > FEATURE_LENGTH_MAX) return [`${said} be no more than ${FEATURE_LENGTH_MAX} characters`];
  return FEATURE.test(name)
    ? []
    : [
        `${said} start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes`,
      ];
}

/** Names of features of the kubelet, sorted and each once. */
function checkFeatures(errors: FieldErrors, object: KubeObject): void {
  const names = texts(part(object, 'status'), 'declaredFeatures');
  const at = STATUS.child('declaredFeatures');
  for (const [index, name] of names.entries()) {
    errors.invalids(at.index(index), name, featureErrors(name));
    const next = names[index + 1];
    if (next === undefined) break;
    if (name === next) errors.duplicate(at.index(index + 1), next);
    else if (name > next) errors.invalid(at.index(index + 1), next, 'list must be sorted alphabetically');
  }
}

function checkAmounts(errors: FieldErrors, object: KubeObject): void {
  for (const list of ['capacity', 'allocatable']) {
    for (const [name, value] of Object.entries(part(part(object, 'status'), list))) {
      checkResourceAmount(errors, STATUS.child(list, name), name, value);
    }
  }
}

function checkPodNetworks(errors: FieldErrors, ranges: readonly string[]): void {
  const at = SPEC.child('podCIDRs');
  for (const [index, range] of ranges.entries()) {
    errors.invalids(at.index(index), range, networkErrors(range));
  }
  if (ranges.length < 2) return;
  const families = new Set(ranges.map((range) => parseNetwork(range)?.address.family));
  if (families.size < 2 || ranges.length > 2 || families.has(undefined)) {
    errors.invalid(at, ranges, 'may specify no more than one CIDR for each IP family');
  }
}

function checkAddresses(errors: FieldErrors, object: KubeObject): void {
  const seen = new Set<string>();
  for (const [index, address] of parts(part(object, 'status'), 'addresses').entries()) {
    const shown = { Type: text(address, 'type'), Address: text(address, 'address') };
    const id = `${shown.Type} ${shown.Address}`;
    if (seen.has(id)) errors.duplicate(STATUS.child('addresses').index(index), shown);
    seen.add(id);
  }
}

/** What is said once and stays. */
function checkKept(errors: FieldErrors, spec: JsonObject, old: JsonObject): void {
  const had = texts(old, 'podCIDRs');
  const now = texts(spec, 'podCIDRs');
  const may = (name: string): string => `node updates may not change ${name} except from "" to valid`;
  if (had.length > 0 && (had.length !== now.length || had.some((range, index) => range !== now[index]))) {
    errors.forbidden(SPEC.child('podCIDRs'), may('podCIDR'));
  }
  if (text(old, 'providerID') !== '' && text(old, 'providerID') !== text(spec, 'providerID')) {
    errors.forbidden(SPEC.child('providerID'), may('providerID'));
  }
}

function checkStatusConfig(errors: FieldErrors, object: KubeObject): void {
  const config = part(part(object, 'status'), 'config');
  for (const name of ['assigned', 'active', 'lastKnownGood']) {
    const source = partOf(config, name);
    if (source !== undefined) checkSource(errors, STATUS.child('config', name), source, true);
  }
}

/** Where a kubelet's configuration was to come from; nothing reads it any more. @param known of the status: it says which */
function checkSource(errors: FieldErrors, path: FieldPath, source: JsonObject, known: boolean): void {
  if (!has(source, 'configMap')) {
    errors.invalid(path, { ConfigMap: null }, 'exactly one reference subfield must be non-nil');
    return;
  }
  const map = part(source, 'configMap');
  const at = path.child('configMap');
  for (const name of ['uid', 'resourceVersion']) {
    const said = text(map, name) !== '';
    if (known && !said) errors.required(at.child(name));
    if (!known && said) errors.forbidden(at.child(name), `${name} must not be set in spec`);
  }
  const names = [
    ['namespace', dnsLabelErrors],
    ['name', dnsSubdomainErrors],
    ['kubeletConfigKey', configKeyErrors],
  ] as const;
  for (const [name, wrong] of names) {
    const value = text(map, name);
    if (value === '') errors.required(at.child(name));
    else errors.invalids(at.child(name), value, wrong(value));
  }
}
