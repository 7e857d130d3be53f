/**
 * NamespaceLifecycle: nothing is created in a namespace that is not there or is going away, and the namespaces a
 * cluster cannot do without are not deleted.
 *
 * Modelled on apiserver's admission/plugin/namespace/lifecycle.
 */

import type { KubeObject } from '../../api/meta.ts';
import { ApiError, forbidden, internalError, notFound } from '../../api/status.ts';
import { part, text } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin } from '../admission.ts';
import { pause } from '../pause.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { Remembered } from '../remembered.ts';

export const NAMESPACES = { group: '', resource: 'namespaces' };

const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);
/** How long a namespace that somebody began to delete is looked up in the store itself. */
const LIVE_LOOKUP_MS = 30_000;
const REMEMBERED_MAX = 100;
/** A namespace that was just made may not have reached the cache. */
const MISSING_WAIT_MS = 50;

const REVIEWS: ReadonlySet<string> = new Set(['localsubjectaccessreviews']);

export function namespaceLifecycle({ lookup, clock }: PluginContext): MutatingPlugin {
  /** Namespaces whose deletion was asked for lately: the cache may not know yet. */
  const deleted = new Remembered<true>(REMEMBERED_MAX);

  const namespaceOf = async ({
    namespace: name,
    operation,
    signal,
  }: AdmissionAttributes): Promise<KubeObject> => {
    const namespaces = lookup.of(NAMESPACES);
    if (namespaces === undefined) throw internalError('namespaces are not served');
    let found = await namespaces.get('', name);
    if (found === undefined && operation === 'CREATE') {
      await pause(clock, MISSING_WAIT_MS, signal);
      found = await namespaces.get('', name);
    }
    const doubtful =
      found !== undefined && phaseOf(found) === 'Active' && deleted.get(name, clock.monotonicMs()) === true;
    if (found === undefined || doubtful) found = await namespaces.live('', name);
    if (found === undefined) throw notFound(NAMESPACES, name);
    return found;
  };

  return {
    name: 'NamespaceLifecycle',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { operation, kind, resource, namespace, name, object } = attributes;
      if (kind.group === '' && kind.kind === 'Namespace') {
        if (operation === 'DELETE') {
          if (IMMORTAL.has(name)) {
            throw forbidden(resource, name, 'this namespace may not be deleted');
          }
          deleted.set(name, true, clock.monotonicMs(), LIVE_LOOKUP_MS);
        }
        return object;
      }
      if (namespace === '' || operation === 'DELETE' || isReview(attributes)) return object;
      const found = await namespaceOf(attributes);
      if (operation === 'CREATE' && phaseOf(found) === 'Terminating') throw terminating(attributes);
      return object;
    },
  };
}

/** What a review says of a namespace that is not there tells nobody anything. */
function isReview({ resource }: AdmissionAttributes): boolean {
  return resource.group === 'authorization.k8s.io' && REVIEWS.has(resource.resource);
}

function phaseOf(namespace: KubeObject): string {
  return text(part(namespace, 'status'), 'phase') || 'Active';
}

function terminating(attributes: AdmissionAttributes): ApiError {
  const { namespace } = attributes;
  const { status } = refusal(
    attributes,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  const causes = [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ];
  return new ApiError({ ...status, details: { ...status.details, causes } });
}
