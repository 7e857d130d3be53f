/** IPAddress and ServiceCIDR: which address of the services' range belongs to whom, and the ranges. */

import type { FieldErrors } from '../../validation/field-errors.ts';
import { goValue } from '../../validation/go-values.ts';
import {
  addressErrors,
  formatAddress,
  parseAddress,
  parseNetwork,
  strictNetworkErrors,
} from '../../validation/addresses.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { checkDnsSubdomain, IMMUTABLE } from '../../validation/scalars.ts';
import { part, partOf, same, text, texts } from '../../validation/value.ts';
import { defineKind, SPEC, OTHERS_METADATA } from '../kinds/kind.ts';

export const ipAddresses = defineKind({
  group: 'networking.k8s.io',
  types: 'networking',
  resource: 'ipaddresses',
  kind: 'IPAddress',
  scope: 'Cluster',
  shortNames: ['ip'],
  checks: {
    nameErrors(name) {
      const address = parseAddress(name);
      if (address === undefined) return addressErrors(name);
      return formatAddress(address) === name ? [] : ['must be a valid address in canonical format'];
    },
    check(errors, object) {
      const parent = partOf(part(object, 'spec'), 'parentRef');
      const at = SPEC.child('parentRef');
      if (parent === undefined) {
        errors.required(at);
        return;
      }
      if (text(parent, 'group') !== '') checkDnsSubdomain(errors, at.child('group'), text(parent, 'group'));
      for (const name of ['resource', 'name']) {
        const value = text(parent, name);
        if (value === '') errors.required(at.child(name));
        else errors.invalids(at.child(name), value, pathSegmentErrors(value));
      }
      const namespace = text(parent, 'namespace');
      if (namespace !== '') errors.invalids(at.child('namespace'), namespace, pathSegmentErrors(namespace));
    },
    checkUpdate(errors, object, old) {
      if (!same(object['spec'], old['spec']))
        errors.invalid(
          SPEC.child('parentRef'),
          goValue('networking.ParentReference', part(object, 'spec')['parentRef']),
          'field is immutable',
        );
    },
  },
});

export const serviceCidrs = defineKind({
  group: 'networking.k8s.io',
  types: 'networking',
  resource: 'servicecidrs',
  kind: 'ServiceCIDR',
  scope: 'Cluster',
  checks: {
    check: () => undefined,
    checkCreate(errors, object) {
      checkRanges(errors, texts(part(object, 'spec'), 'cidrs'));
    },
    checkUpdate(errors, object, old) {
      const ranges = texts(part(object, 'spec'), 'cidrs');
      const before = texts(part(old, 'spec'), 'cidrs');
      const at = SPEC.child('cidrs');
      // A second family may come later.
      const added = before.length === 1 && ranges.length === 2;
      if (!added && before.length !== ranges.length) {
        errors.invalid(at, ranges.length === 0 ? null : ranges, IMMUTABLE);
        return;
      }
      for (const [index, range] of before.entries())
        if (ranges[index] !== range) errors.invalid(at.index(index), ranges[index], IMMUTABLE);
      if (added) checkRanges(errors, ranges);
    },
    status: { keepsMetadata: OTHERS_METADATA },
  },
});

function checkRanges(errors: FieldErrors, ranges: readonly string[]): void {
  const at = SPEC.child('cidrs');
  if (ranges.length === 0) {
    errors.required(at, 'at least one CIDR required');
    return;
  }
  if (ranges.length > 2) {
    // The message shows the whole spec, under the names it has inside of upstream's server.
    errors.invalid(at, { CIDRs: ranges }, 'may only hold up to 2 values');
    return;
  }
  for (const [index, range] of ranges.entries())
    errors.invalids(at.index(index), range, strictNetworkErrors(range));
  const [family, other] = ranges.map((range) => parseNetwork(range)?.address.family);
  if (ranges.length === 2 && family !== undefined && family === other) {
    errors.invalid(
      at,
      ranges,
      'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    );
  }
}
