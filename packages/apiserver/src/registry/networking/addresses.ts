/** IPAddress and ServiceCIDR: which address of the services' range belongs to whom, and the ranges. */

import {
  addressErrors,
  formatAddress,
  parseAddress,
  parseNetwork,
  strictNetworkErrors,
} from '../../validation/addresses.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { checkDnsSubdomain } from '../../validation/scalars.ts';
import { part, partOf, same, text, texts } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

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
        errors.invalid(SPEC.child('parentRef'), part(object, 'spec')['parentRef'], 'field is immutable');
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
    generation: ['spec'],
    check(errors, object) {
      const ranges = texts(part(object, 'spec'), 'cidrs');
      const at = SPEC.child('cidrs');
      // Messages show the whole spec, under the names it has inside of upstream's server.
      const shown = { CIDRs: ranges };
      if (ranges.length === 0) {
        errors.required(at, 'at least one CIDR required');
        return;
      }
      if (ranges.length > 2) {
        errors.invalid(at, shown, 'may only hold up to 2 values');
        return;
      }
      const families = new Set(ranges.map((range) => parseNetwork(range)?.address.family));
      if (ranges.length === 2 && (families.size < 2 || families.has(undefined))) {
        errors.invalid(
          at,
          shown,
          'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
        );
        return;
      }
      for (const [index, range] of ranges.entries())
        errors.invalids(at.index(index), range, strictNetworkErrors(range));
    },
    checkUpdate(errors, object, old) {
      if (!same(object['spec'], old['spec']))
        errors.invalid(SPEC.child('cidrs'), texts(part(object, 'spec'), 'cidrs'), 'field is immutable');
    },
    status: {},
  },
});
