/**
 * NamespaceAutoProvision makes a namespace when something is created in it; NamespaceExists refuses whatever lies in
 * a namespace that is not there.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/namespace/autoprovision and exists.
 */

import { hasReason, internalError, notFound } from '../../api/status.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';
import { NAMESPACES } from './namespace-lifecycle.ts';

function concerns({ namespace, kind }: AdmissionAttributes): boolean {
  return namespace !== '' && !(kind.group === '' && kind.kind === 'Namespace');
}

export function namespaceAutoProvision({ lookup }: PluginContext): MutatingPlugin {
  return {
    name: 'NamespaceAutoProvision',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object, namespace: name, dryRun } = attributes;
      if (dryRun || !concerns(attributes)) return object;
      const namespaces = lookup.of(NAMESPACES);
      if (namespaces === undefined) throw internalError('namespaces are not served');
      if ((await namespaces.get('', name)) !== undefined) return object;
      try {
        await namespaces.create('', {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
          spec: { finalizers: ['kubernetes'] },
        });
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw refusal(attributes, error);
      }
      return object;
    },
  };
}

export function namespaceExists({ lookup }: PluginContext): ValidatingPlugin {
  return {
    name: 'NamespaceExists',
    handles: (operation) => operation !== 'CONNECT',
    async validate(attributes) {
      const { namespace: name } = attributes;
      if (!concerns(attributes)) return;
      if ((await getOrLive(lookup.of(NAMESPACES), '', name)) === undefined) throw notFound(NAMESPACES, name);
    },
  };
}
