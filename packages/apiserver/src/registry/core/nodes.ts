/**
 * Node: a machine that runs pods. Modelled on ValidateNode and ValidateNodeUpdate of kubernetes' pkg/apis/core/validation;
 * paths and texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { networkErrors, parseNetwork } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { configKeyErrors, dnsLabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { checkTaints } from '../../validation/pod-placement.ts';
import { checkResourceAmount } from '../../validation/pod-resources.ts';
import { has, part, partOf, parts, text, texts } from '../../validation/value.ts';
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
      checkPodNetworks(errors, texts(spec, 'podCIDRs'));
    },
    checkUpdate(errors, object, old) {
      checkAddresses(errors, object);
      checkKept(errors, part(object, 'spec'), part(old, 'spec'));
      const configured = partOf(part(object, 'spec'), 'configSource');
      if (configured !== undefined) checkSource(errors, SPEC.child('configSource'), configured, false);
      checkStatusConfig(errors, object);
    },
    status: {
      onCreate: true,
      check(errors, object) {
        checkAmounts(errors, object);
        checkAddresses(errors, object);
        checkStatusConfig(errors, object);
      },
    },
  },
  selectable: selectableAt(['spec.unschedulable'], { 'spec.unschedulable': 'false' }),
});

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
  if (families.size < 2 || ranges.length > 2) {
    errors.invalid(at, ranges, 'may specify no more than one CIDR for each IP family');
  }
  for (const [index, range] of ranges.entries()) {
    if (ranges.indexOf(range) < index) errors.duplicate(at.index(index), range);
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
  if (text(old, 'externalID') !== text(spec, 'externalID')) {
    errors.forbidden(SPEC.child('externalID'), 'may not be updated');
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
    if (known && !said) errors.required(at.child(name), `${name} must be set in status`);
    if (!known && said) errors.forbidden(at.child(name), `${name} must not be set in spec`);
  }
  const names = [
    ['namespace', dnsLabelErrors],
    ['name', dnsSubdomainErrors],
    ['kubeletConfigKey', configKeyErrors],
  ] as const;
  for (const [name, wrong] of names) {
    const value = text(map, name);
    if (value === '') errors.required(at.child(name), `${name} must be set`);
    else errors.invalids(at.child(name), value, wrong(value));
  }
}
