/** Defaults of apps, batch, autoscaling and policy. */

import type { Json, JsonObject } from '../api/json.ts';
import { has, part, partOf, parts, text, textMap, withField } from '../validation/value.ts';
import { withAbsent, withNil } from './absent.ts';
import type { DefaultRules } from './defaulter.ts';

const INT32_MAX = 2 ** 31 - 1;
const METRICS_ANNOTATION = 'autoscaling.alpha.kubernetes.io/metrics';
const TEMPLATE_COUNT = 'deprecated.daemonset.template.generation';

export const WORKLOAD_DEFAULTS: DefaultRules = {
  'apps.v1.DeploymentSpec': (spec) => {
    const filled = withAbsent(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
    const strategy = withAbsent(part(spec, 'strategy'), { type: 'RollingUpdate' });
    if (text(strategy, 'type') !== 'RollingUpdate') return withField(filled, 'strategy', strategy);
    const rolling = withAbsent(part(strategy, 'rollingUpdate'), { maxUnavailable: '25%', maxSurge: '25%' });
    return withField(filled, 'strategy', withField(strategy, 'rollingUpdate', rolling));
  },
  'apps.v1.ReplicaSetSpec': (spec) => withAbsent(spec, { replicas: 1 }),
  'apps.v1.StatefulSetSpec': (spec) => {
    const filled = withAbsent(spec, {
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      revisionHistoryLimit: 10,
    });
    const given = part(spec, 'updateStrategy');
    const strategy = withAbsent(given, { type: 'RollingUpdate' });
    // Who names the type alone gets no more than that.
    const rolls = text(given, 'type') === '' || has(given, 'rollingUpdate');
    return {
      ...filled,
      updateStrategy:
        rolls && text(strategy, 'type') === 'RollingUpdate'
          ? {
              ...strategy,
              rollingUpdate: withAbsent(part(strategy, 'rollingUpdate'), { partition: 0 }),
            }
          : strategy,
      // Templates of claims say what they are, as the original's do since they are converted.
      ...(has(spec, 'volumeClaimTemplates')
        ? {
            volumeClaimTemplates: parts(spec, 'volumeClaimTemplates').map((claim) => ({
              ...claim,
              kind: 'PersistentVolumeClaim',
              apiVersion: 'v1',
            })),
          }
        : {}),
      persistentVolumeClaimRetentionPolicy: withAbsent(part(spec, 'persistentVolumeClaimRetentionPolicy'), {
        whenDeleted: 'Retain',
        whenScaled: 'Retain',
      }),
    };
  },
  'apps.v1.DaemonSetSpec': (spec) => {
    const strategy = withAbsent(part(spec, 'updateStrategy'), { type: 'RollingUpdate' });
    return {
      ...withAbsent(spec, { revisionHistoryLimit: 10 }),
      updateStrategy:
        text(strategy, 'type') === 'RollingUpdate'
          ? {
              ...strategy,
              rollingUpdate: withAbsent(part(strategy, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 }),
            }
          : strategy,
    };
  },
  'batch.v1.Job': (job) => {
    let spec = part(job, 'spec');
    if (!has(spec, 'completions') && !has(spec, 'parallelism')) {
      spec = { ...spec, completions: 1, parallelism: 1 };
    }
    spec = withNil(spec, {
      parallelism: 1,
      backoffLimit: has(spec, 'backoffLimitPerIndex') ? INT32_MAX : 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: has(spec, 'podFailurePolicy') ? 'Failed' : 'TerminatingOrFailed',
      manualSelector: false,
    });
    const filled = withField(job, 'spec', spec);
    const metadata = part(job, 'metadata');
    const labels = partOf(part(part(spec, 'template'), 'metadata'), 'labels');
    return labels === undefined || Object.keys(textMap(metadata, 'labels')).length > 0
      ? filled
      : withField(filled, 'metadata', { ...metadata, labels });
  },
  'batch.v1.PodFailurePolicyOnPodConditionsPattern': (pattern) => withAbsent(pattern, { status: 'True' }),
  'batch.v1.CronJobSpec': (spec) =>
    withAbsent(spec, {
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    }),
  'autoscaling.v1.HorizontalPodAutoscalerSpec': (spec) => withAbsent(spec, { minReplicas: 1 }),
  // One that measures nothing looks at the processor, in either version.
  'autoscaling.v1.HorizontalPodAutoscaler': (scaler) => {
    const others = textMap(part(scaler, 'metadata'), 'annotations')[METRICS_ANNOTATION];
    if (others !== undefined) return scaler;
    const spec = withAbsent(part(scaler, 'spec'), { targetCPUUtilizationPercentage: 80 });
    return withField(scaler, 'spec', spec);
  },
  // Counted in an annotation, which says 0 where nobody has counted yet.
  'apps.v1.DaemonSet': (set) => {
    const metadata = part(set, 'metadata');
    const annotations = textMap(metadata, 'annotations');
    if (annotations[TEMPLATE_COUNT] !== undefined) return set;
    return withField(
      set,
      'metadata',
      withField(metadata, 'annotations', { ...annotations, [TEMPLATE_COUNT]: '0' }),
    );
  },
  'autoscaling.v2.HorizontalPodAutoscalerSpec': (spec) => {
    let filled = withAbsent(spec, { minReplicas: 1 });
    if (parts(filled, 'metrics').length === 0) {
      filled = {
        ...filled,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
          },
        ],
      };
    }
    const behavior = partOf(filled, 'behavior');
    return behavior === undefined
      ? filled
      : {
          ...filled,
          behavior: {
            scaleUp: rules(part(behavior, 'scaleUp'), SCALE_UP),
            scaleDown: rules(part(behavior, 'scaleDown'), SCALE_DOWN),
          },
        };
  },
};

const SCALE_UP: JsonObject = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};
const SCALE_DOWN: JsonObject = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

/** Members in Go's order; an empty list of policies is one, and is refused. */
function rules(given: JsonObject, absent: JsonObject): JsonObject {
  const filled: Record<string, Json> = {};
  for (const name of ['stabilizationWindowSeconds', 'selectPolicy', 'policies', 'tolerance']) {
    const value = has(given, name) ? given[name] : absent[name];
    if (value !== undefined) filled[name] = value;
  }
  return filled;
}
