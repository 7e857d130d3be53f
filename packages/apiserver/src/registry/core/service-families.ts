/**
 * Which IP families a service has: from what it says, from its addresses, from what it was, from what the cluster
 * has. Runs before addresses are handed out, and refuses what can get none. Pure.
 *
 * Modelled on initIPFamilyFields of kubernetes' pkg/registry/core/service/storage; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import { invalid } from '../../api/status.ts';
import { parseAddress, type Family } from '../../validation/addresses.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { text, textMap, texts } from '../../validation/value.ts';
import { SPEC } from '../kinds/kind.ts';
import { checkClusterIPs } from './service-checks.ts';
import { isHeadless, needsClusterIP, sameClusterIPs, sameFamilies } from './service-fields.ts';

export const SERVICE_KIND = { group: '', kind: 'Service' };

/**
 * The spec with families and their policy.
 *
 * @param before the service's spec until now; undefined for a new one
 * @param configured the cluster's families, the default one first
 * @throws ApiError Invalid
 */
export function withFamilies(
  spec: JsonObject,
  before: JsonObject | undefined,
  configured: readonly Family[],
  name: string,
): JsonObject {
  if (!needsClusterIP(spec) || staysDual(spec, before)) return spec;
  const errors = new FieldErrors();
  const stop = (): void => {
    if (errors.size > 0) throw invalid(SERVICE_KIND, name, errors.list);
  };
  const selectsNothing = isHeadless(spec) && Object.keys(textMap(spec, 'selector')).length === 0;
  const policy = policyOf(spec, before, selectsNothing);
  let settled: JsonObject = { ...spec, ipFamilyPolicy: policy };
  checkClusterIPs(errors, settled);
  stop();
  if (before !== undefined) settled = withoutSecond(errors, settled, before);
  settled = inferred(errors, settled, configured);
  stop();

  let families = texts(settled, 'ipFamilies');
  if (selectsNothing) {
    // Who writes the endpoints decides their families, whatever the cluster has.
    if (families.length === 0) families = configured.slice(0, 1);
    return { ...settled, ipFamilies: policy === 'SingleStack' ? [...families] : both(families) };
  }
  if (policy === 'RequireDualStack' && configured.length < 2) {
    const why = 'this cluster is not configured for dual-stack services';
    errors.invalid(SPEC.child('ipFamilyPolicy'), policy, why);
  }
  for (const [index, family] of families.entries()) {
    if (configured.some((each) => each === family)) continue;
    errors.invalid(SPEC.child('ipFamilies').index(index), family, 'not configured on this cluster');
  }
  stop();
  if (families.length === 0) families = configured.slice(0, 1);
  const dual = policy !== 'SingleStack' && configured.length === 2;
  return { ...settled, ipFamilies: dual ? both(families) : [...families] };
}

/** A service that prefers two families is left as it is when the cluster gains or loses one. */
function staysDual(spec: JsonObject, before: JsonObject | undefined): boolean {
  return (
    before !== undefined &&
    needsClusterIP(before) &&
    text(spec, 'ipFamilyPolicy') === 'PreferDualStack' &&
    text(before, 'ipFamilyPolicy') === 'PreferDualStack' &&
    sameClusterIPs(spec, before) &&
    sameFamilies(spec, before)
  );
}

function policyOf(spec: JsonObject, before: JsonObject | undefined, selectsNothing: boolean): string {
  const said = text(spec, 'ipFamilyPolicy');
  const had = before === undefined ? '' : text(before, 'ipFamilyPolicy');
  if (said !== '') return said;
  if (had !== '') return had;
  return selectsNothing ? 'RequireDualStack' : 'SingleStack';
}

/** SingleStack gives the second address and family back; nothing else may. */
function withoutSecond(errors: FieldErrors, spec: JsonObject, before: JsonObject): JsonObject {
  const all = texts(spec, 'clusterIPs');
  const families = texts(spec, 'ipFamilies');
  const policy = text(spec, 'ipFamilyPolicy');
  if (policy === 'SingleStack') {
    let kept = spec;
    if (sameClusterIPs(spec, before) && all.length > 1) kept = { ...kept, clusterIPs: all.slice(0, 1) };
    if (sameFamilies(spec, before) && families.length > 1)
      kept = { ...kept, ipFamilies: families.slice(0, 1) };
    return kept;
  }
  const at = SPEC.child('ipFamilyPolicy');
  const reduced = (now: readonly string[], had: readonly string[]): boolean =>
    now.length > 0 && now.length < had.length;
  if (reduced(all, texts(before, 'clusterIPs'))) {
    errors.invalid(at, policy, "must be 'SingleStack' to release the secondary cluster IP");
  }
  if (reduced(families, texts(before, 'ipFamilies'))) {
    errors.invalid(at, policy, "must be 'SingleStack' to release the secondary IP family");
  }
  return spec;
}

/** Families that addresses tell where they are not said. */
function inferred(errors: FieldErrors, spec: JsonObject, configured: readonly Family[]): JsonObject {
  const all = texts(spec, 'clusterIPs');
  const families = [...texts(spec, 'ipFamilies')];
  if (text(spec, 'ipFamilyPolicy') === 'SingleStack') {
    const at = SPEC.child('ipFamilyPolicy');
    const needs = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
    if (all.length === 2) errors.invalid(at, 'SingleStack', `${needs} cluster IPs are specified`);
    if (families.length === 2) errors.invalid(at, 'SingleStack', `${needs} IP families are specified`);
  }
  if (isHeadless(spec)) return spec;
  for (const [index, ip] of all.entries()) {
    if (index < families.length) continue;
    const family = parseAddress(ip)?.family ?? 'IPv4';
    if (configured.includes(family)) families.push(family);
    else {
      const at = SPEC.child('clusterIPs').index(index);
      errors.invalid(at, all, `${family} is not configured on this cluster`);
    }
  }
  return families.length === 0 ? spec : { ...spec, ipFamilies: families };
}

function both(families: readonly string[]): string[] {
  if (families.length !== 1) return [...families];
  return [families[0], families[0] === 'IPv4' ? 'IPv6' : 'IPv4'];
}
