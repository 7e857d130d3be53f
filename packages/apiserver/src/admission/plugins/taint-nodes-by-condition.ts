/**
 * TaintNodesByCondition: a new node takes no pods before somebody saw that it is ready.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/nodetaint.
 */

import { parts, part, text, withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';

const NOT_READY = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

export function taintNodesByCondition(): MutatingPlugin {
  return {
    name: 'TaintNodesByCondition',
    handles: (operation) => operation === 'CREATE',
    admit({ object: node, resource, subresource }) {
      const isNode = resource.group === '' && resource.resource === 'nodes';
      if (node === undefined || !isNode || subresource !== '') return Promise.resolve(node);
      const taints = parts(part(node, 'spec'), 'taints');
      const tainted = taints.some(
        (taint) => text(taint, 'key') === NOT_READY.key && text(taint, 'effect') === NOT_READY.effect,
      );
      return Promise.resolve(
        tainted ? node : withFieldAt(node, ['spec', 'taints'], [...taints, { ...NOT_READY }]),
      );
    },
  };
}
