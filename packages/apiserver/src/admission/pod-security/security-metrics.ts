/** What PodSecurity decides, under the original's names. Versions that are still to come are told as one. */

import { Counter, type MetricsRegistry } from '../../metrics/registry.ts';
import type { AdmissionAttributes } from '../admission.ts';
import type { LevelVersion, Policy } from './level.ts';

/** Told of each decision about a pod, or a template of pods. */
export interface PodSecurityObserver {
  evaluated(
    attributes: AdmissionAttributes,
    mode: keyof Policy,
    policy: LevelVersion,
    decision: 'allow' | 'deny',
  ): void;
  exempted(attributes: AdmissionAttributes): void;
  /** @param fatal nothing could be decided; else the strictest level counted */
  failed(attributes: AdmissionAttributes, fatal: boolean): void;
}

/** @param minor of the API that the server speaks */
export function podSecurityMetrics(registry: MetricsRegistry, minor: number): PodSecurityObserver {
  const what = ['request_operation', 'resource', 'subresource'];
  const evaluations = registry.add(
    new Counter('pod_security_evaluations_total', 'Decisions about pods by their policy.', [
      'decision',
      'mode',
      'policy_level',
      'policy_version',
      ...what,
    ]),
  );
  const exemptions = registry.add(
    new Counter('pod_security_exemptions_total', 'Requests that no policy of pods counts for.', what),
  );
  const failures = registry.add(
    new Counter('pod_security_errors_total', 'Requests whose policy of pods could not be found out.', [
      'fatal',
      ...what,
    ]),
  );
  const versionOf = ({ level, minor: said }: LevelVersion): string => {
    if (level === 'privileged' || said === undefined) return 'latest';
    return said > minor ? 'future' : `v1.${said}`;
  };
  return {
    evaluated(attributes, mode, policy, decision) {
      evaluations.add([decision, mode, policy.level, versionOf(policy), ...labelsOf(attributes)]);
    },
    exempted: (attributes) => exemptions.add(labelsOf(attributes)),
    failed: (attributes, fatal) => failures.add([String(fatal), ...labelsOf(attributes)]),
  };
}

function labelsOf({ operation, resource, subresource }: AdmissionAttributes): string[] {
  const { group, resource: name } = resource;
  const kind = group === '' && (name === 'pods' || name === 'namespaces') ? name.slice(0, -1) : 'controller';
  return [operation.toLowerCase(), kind, subresource];
}
