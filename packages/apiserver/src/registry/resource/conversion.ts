/**
 * Requests and slices of resource.k8s.io as v1beta1 says them: what is asked for exactly stands in the request itself, what
 * a device is in its `basic`. The other kinds and versions look alike.
 *
 * Modelled on the conversions of kubernetes' pkg/apis/resource/v1beta1.
 */

import type { JsonObject } from '../../api/json.ts';
import type { GroupVersion, KubeObject } from '../../api/meta.ts';
import { count, flag, has, part, partOf, parts, text, withField, without } from '../../validation/value.ts';

const OLD = 'v1beta1';
/** What a request of v1beta1 says of the one device it wants. */
const EXACT: readonly string[] = [
  'deviceClassName',
  'selectors',
  'allocationMode',
  'count',
  'adminAccess',
  'tolerations',
  'capacity',
];

/** @param at where the claim's spec lies in an object; undefined for a slice */
export function deviceConversion(
  kind: 'ResourceClaim' | 'ResourceClaimTemplate' | 'ResourceSlice',
): (object: KubeObject, to: GroupVersion) => KubeObject {
  return (object, { group, version }) => {
    const apiVersion = `${group}/${version}`;
    if (object.apiVersion === apiVersion) return object;
    const renamed = { ...object, apiVersion };
    const isOld = object.apiVersion.endsWith(`/${OLD}`);
    if (version !== OLD && !isOld) return renamed;
    const spec = part(object, 'spec');
    if (kind === 'ResourceSlice') return withField(renamed, 'spec', slice(spec, isOld));
    const next =
      kind === 'ResourceClaim'
        ? claim(spec, isOld)
        : withField(spec, 'spec', claim(part(spec, 'spec'), isOld));
    return withField(renamed, 'spec', next);
  };
}

function claim(spec: JsonObject, isOld: boolean): JsonObject {
  const devices = part(spec, 'devices');
  if (!has(devices, 'requests')) return spec;
  const requests = parts(devices, 'requests').map(isOld ? request : requestOfOld);
  return withField(spec, 'devices', { ...devices, requests });
}

function request(old: JsonObject): JsonObject {
  const told = EXACT.filter((name) => {
    if (name === 'count') return count(old, name) !== 0;
    const isText = name === 'deviceClassName' || name === 'allocationMode';
    return isText ? text(old, name) !== '' : has(old, name);
  });
  const rest = without(old, ...EXACT);
  if (told.length === 0) return rest;
  const exactly = Object.fromEntries(told.map((name) => [name, old[name]]));
  const { name, ...others } = rest;
  return { name, exactly: { deviceClassName: '', ...exactly }, ...others };
}

function requestOfOld(newer: JsonObject): JsonObject {
  const { exactly: _exactly, name, ...rest } = newer;
  const exactly = partOf(newer, 'exactly');
  return { name, deviceClassName: '', ...exactly, ...rest };
}

function slice(spec: JsonObject, isOld: boolean): JsonObject {
  let next = spec;
  if (isOld) {
    if (text(spec, 'nodeName') === '') next = without(next, 'nodeName');
    if (!flag(spec, 'allNodes')) next = without(next, 'allNodes');
  }
  if (!has(spec, 'devices')) return next;
  const devices = parts(spec, 'devices').map((device) => {
    const { name, basic: _basic, ...rest } = device;
    if (!isOld) return { name, basic: rest };
    return { name, ...part(device, 'basic') };
  });
  return { ...next, devices };
}
