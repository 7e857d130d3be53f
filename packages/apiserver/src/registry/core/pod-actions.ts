/**
 * What is done to a pod by sending another object: binding it to a node, evicting it within its disruption
 * budget. Texts as upstream's pod storage.
 */

import type { KubeObject } from '../../api/meta.ts';
import { badRequest, conflict, hasReason, internalError } from '../../api/status.ts';
import { matchesLabels, requirementsOf } from '../../api/selectors.ts';
import { readSelector } from '../../validation/labels.ts';
import { count, part, partOf, parts, text, texts, withFieldAt } from '../../validation/value.ts';
import type { ObjectStore, ResourceCall, SubresourceDefinition } from '../resource.ts';
import { isDeleting } from '../deletion.ts';
import { spent } from './disruption-budget.ts';

const PODS = { group: '', resource: 'pods' };

function podsOf(call: ResourceCall): ObjectStore {
  const store = call.stores.of(PODS);
  if (store === undefined) throw internalError('pods are not served');
  return store;
}

const SUCCESS: KubeObject = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

/** Binds the pod that the Binding names; `pods/binding` and the resource bindings do the same. */
export async function bind(call: ResourceCall): Promise<KubeObject> {
  const { body } = call;
  if (body === undefined) throw badRequest('a Binding is required');
  const own = body.metadata.name ?? '';
  const name = call.name === '' ? own : call.name;
  if (own !== name) throw badRequest('name in URL does not match name in Binding object');
  const target = part(body, 'target');
  const node = text(target, 'name');
  if (text(target, 'kind') !== '' && text(target, 'kind') !== 'Node')
    throw badRequest(
      `target.kind: Unsupported value: "${text(target, 'kind')}": supported values: "Node", "<empty>"`,
    );
  if (node === '') throw badRequest('target.name: Required value');
  await podsOf(call).change(
    call.namespace,
    name,
    (pod) => {
      const refuse = (why: string): never => {
        throw conflict({ group: '', resource: 'pods/binding' }, name, why);
      };
      if (isDeleting(pod)) refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
      const spec = part(pod, 'spec');
      if (text(spec, 'nodeName') !== '')
        refuse(`pod ${name} is already assigned to node "${text(spec, 'nodeName')}"`);
      if (parts(spec, 'schedulingGates').length > 0)
        refuse(`pod ${name} has non-empty .spec.schedulingGates`);
      const placed = withFieldAt(pod, ['spec', 'nodeName'], node);
      const { labels } = body.metadata;
      const assigned =
        labels === undefined
          ? placed
          : withFieldAt(placed, ['metadata', 'labels'], { ...pod.metadata.labels, ...labels });
      const annotations = body.metadata.annotations;
      const noted =
        annotations === undefined
          ? assigned
          : withFieldAt(assigned, ['metadata', 'annotations'], {
              ...pod.metadata.annotations,
              ...annotations,
            });
      const conditions = parts(part(noted, 'status'), 'conditions').filter(
        (each) => text(each, 'type') !== 'PodScheduled',
      );
      const now = new Date(call.context.nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
      return withFieldAt(
        noted,
        ['status', 'conditions'],
        [
          ...conditions,
          { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now },
        ],
      );
    },
    { dryRun: call.context.dryRun, strategy: { validateUpdate: () => [] } },
  );
  return SUCCESS;
}

export function bindingOf(_resource: 'pods'): SubresourceDefinition {
  return {
    name: 'binding',
    kind: { group: '', version: 'v1', kind: 'Binding' },
    typeName: 'core.v1.Binding',
    verbs: ['create'],
    backing: { kind: 'create', create: bind },
  };
}

export function evictionOf(): SubresourceDefinition {
  return {
    name: 'eviction',
    kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
    typeName: 'policy.v1.Eviction',
    verbs: ['create'],
    backing: { kind: 'create', create: evict },
  };
}

async function evict(call: ResourceCall): Promise<KubeObject> {
  const { body, name, namespace } = call;
  if (body === undefined) throw badRequest('an Eviction is required');
  const own = body.metadata.name ?? '';
  if (own !== '' && own !== name) throw badRequest('name in URL does not match name in Eviction object');
  const pod = await podsOf(call).get(namespace, name);
  const options = part(body, 'deleteOptions');
  const dryRun = call.context.dryRun || texts(options, 'dryRun').includes('All');
  const finished = ['Succeeded', 'Failed', 'Pending'].includes(text(part(pod, 'status'), 'phase'));
  if (!finished && !isDeleting(pod)) await spendBudget(call, pod, dryRun);
  const grace = options['gracePeriodSeconds'];
  await podsOf(call).delete(namespace, name, {
    dryRun,
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    preconditions: { ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }) },
  });
  return SUCCESS;
}

/** Takes one disruption from the budget that covers the pod. @throws ApiError 429 where none is left */
async function spendBudget(call: ResourceCall, pod: KubeObject, dryRun: boolean): Promise<void> {
  const store = call.stores.of({ group: 'policy', resource: 'poddisruptionbudgets' });
  if (store === undefined) return;
  const covering = (await store.list(call.namespace)).filter((budget) => covers(budget, pod));
  if (covering.length === 0) return;
  if (covering.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const budget = covering[0];
  const name = budget.metadata.name ?? '';
  const ready = parts(part(pod, 'status'), 'conditions').some(
    (each) => text(each, 'type') === 'Ready' && text(each, 'status') === 'True',
  );
  const status = part(budget, 'status');
  const policy = text(part(budget, 'spec'), 'unhealthyPodEvictionPolicy');
  const enough =
    count(status, 'currentHealthy') >= count(status, 'desiredHealthy') && count(status, 'desiredHealthy') > 0;
  if (!ready && (policy === 'AlwaysAllow' || enough)) return;
  try {
    await store.change(
      call.namespace,
      name,
      (current) => {
        const time = new Date(call.context.nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
        return spent(current, pod.metadata.name ?? '', time);
      },
      { dryRun, strategy: { validateUpdate: () => [] } },
    );
  } catch (error) {
    // The budget went away meanwhile: nothing holds the pod any more.
    if (!hasReason(error, 'NotFound')) throw error;
  }
}

function covers(budget: KubeObject, pod: KubeObject): boolean {
  const selector = partOf(part(budget, 'spec'), 'selector');
  if (selector === undefined) return false;
  return matchesLabels(requirementsOf(readSelector(selector)), pod.metadata.labels ?? {});
}
