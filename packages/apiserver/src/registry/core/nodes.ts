/** Node: a machine that runs pods. */

import { checkNetwork } from '../../validation/scalars.ts';
import { checkResourceAmount } from '../../validation/pod-resources.ts';
import { checkTaints } from '../../validation/pod-placement.ts';
import { parseNetwork } from '../../validation/addresses.ts';
import { part, parts, text, texts } from '../../validation/value.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';

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
      checkTaints(errors, SPEC.child('taints'), parts(spec, 'taints'));
      const ranges = texts(spec, 'podCIDRs');
      for (const [index, range] of ranges.entries())
        checkNetwork(errors, SPEC.child('podCIDRs').index(index), range);
      if (ranges.length > 2)
        errors.invalid(
          SPEC.child('podCIDRs'),
          ranges,
          'may specify no more than one CIDR for each IP family',
        );
      else if (
        ranges.length === 2 &&
        parseNetwork(ranges[0])?.address.family === parseNetwork(ranges[1])?.address.family
      ) {
        errors.invalid(
          SPEC.child('podCIDRs'),
          ranges,
          'may specify no more than one CIDR for each IP family',
        );
      }
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      for (const name of ['podCIDRs', 'providerID']) {
        const had = name === 'podCIDRs' ? texts(before, name).length > 0 : text(before, name) !== '';
        if (had && JSON.stringify(spec[name]) !== JSON.stringify(before[name])) {
          errors.forbidden(
            SPEC.child(name),
            'node updates may not change ' + name + ' except from "" to valid',
          );
        }
      }
    },
    status: {
      onCreate: true,
      check(errors, object) {
        const status = part(object, 'status');
        for (const list of ['capacity', 'allocatable']) {
          for (const [name, value] of Object.entries(part(status, list))) {
            checkResourceAmount(errors, STATUS.child(list).key(name), name, value);
          }
        }
        const seen = new Set<string>();
        for (const [index, address] of parts(status, 'addresses').entries()) {
          const id = `${text(address, 'type')} ${text(address, 'address')}`;
          if (seen.has(id)) errors.duplicate(STATUS.child('addresses').index(index), address);
          seen.add(id);
        }
      },
    },
  },
  selectable: selectableAt(['spec.unschedulable'], { 'spec.unschedulable': 'false' }),
});
