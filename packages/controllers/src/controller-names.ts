/**
 * The names of the loops and which of them run: kube-controller-manager's, with the names it had before as aliases, and
 * the words of its --controllers flag. Pure.
 */

/** What --controllers is unless somebody says otherwise. */
export const ALL_BY_DEFAULT: readonly string[] = ['*'];

export interface ControllerName {
  readonly name: string;
  /** The name before 1.28. */
  readonly alias: string;
  /** Whether `*` does not mean it. */
  readonly offByDefault?: boolean;
}

export class ControllerNameError extends Error {}

/**
 * Loops of kube-controller-manager that are not here: a command line that was written for it may switch them off, under
 * either name. The API server aggregates ClusterRoles itself; the rest looks after workloads, nodes and volumes.
 */
const ELSEWHERE: ReadonlySet<string> = new Set(
  [
    'deployment-controller deployment replicaset-controller replicaset job-controller job daemonset-controller daemonset',
    'replicationcontroller-controller replicationcontroller statefulset-controller statefulset cronjob-controller cronjob',
    'pod-garbage-collector-controller podgc disruption-controller disruption ttl-controller ttl',
    'horizontal-pod-autoscaler-controller horizontalpodautoscaling node-ipam-controller nodeipam',
    'node-lifecycle-controller nodelifecycle taint-eviction-controller device-taint-eviction-controller',
    'persistentvolume-binder-controller persistentvolume-binder persistentvolume-attach-detach-controller attachdetach',
    'persistentvolume-expander-controller persistentvolume-expander ephemeral-volume-controller ephemeral-volume',
    'clusterrole-aggregation-controller clusterrole-aggregation resourceclaim-controller selinux-warning-controller',
    'storageversion-garbage-collector-controller storage-version-migrator-controller',
    'volumeattributesclass-protection-controller podcertificaterequest-cleaner-controller',
    'kube-apiserver-serving-clustertrustbundle-publisher-controller service-lb-controller service',
    'node-route-controller route cloud-node-lifecycle-controller cloud-node-lifecycle',
  ].flatMap((names) => names.split(' ')),
);

/**
 * The names of those that run.
 *
 * @param words `*` all that are on by default, `foo` that one, `-foo` not that one
 * @throws ControllerNameError in the original's words
 */
export function enabledControllers(
  words: readonly string[],
  known: readonly ControllerName[],
): ReadonlySet<string> {
  const canonical = new Map(
    known.flatMap(({ name, alias }) => [[name, name] as const, [alias, name] as const]),
  );
  const said = new Map<string, boolean>();
  for (const word of words) {
    if (word === '*') continue;
    const wanted = word.startsWith('-') ? word.slice(1) : word;
    const name = canonical.get(wanted);
    if (name === undefined && wanted !== word && ELSEWHERE.has(wanted)) continue;
    if (name === undefined)
      throw new ControllerNameError(`"${wanted}" is not in the list of known controllers`);
    // The first word about a loop counts.
    if (!said.has(name)) said.set(name, wanted === word);
  }
  const all = words.includes('*');
  return new Set(
    known
      .filter(({ name, offByDefault }) => said.get(name) ?? (all && offByDefault !== true))
      .map(({ name }) => name),
  );
}
