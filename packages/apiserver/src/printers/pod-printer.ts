/**
 * Pods as people look at them most: how many containers are ready, one word for what the pod is doing, how often
 * something was started again and when that was last. The word comes from the phase, then from the containers in
 * reverse order, unless an init container still has to end; a deletion overrides all.
 *
 * Modelled on printPod of kubernetes' pkg/printers/internalversion.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { count, flag, part, partOf, parts, text } from '../validation/value.ts';
import { humanDuration, timeMs } from './ages.ts';
import { nameOf, NONE, objectAge, orElse } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, wide, type RowCondition, type TablePrinter } from './printer.ts';

const ENDED: Readonly<Record<string, readonly RowCondition[]>> = {
  Succeeded: [
    {
      type: 'Completed',
      status: 'True',
      reason: 'Succeeded',
      message: 'The pod has completed successfully.',
    },
  ],
  Failed: [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }],
};

/** What a look at the containers finds. */
interface Look {
  reason: string;
  ready: number;
  restarts: number;
  /** When a container that was started again had ended, in milliseconds; undefined for never. */
  lastRestartMs: number | undefined;
}

export const podPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'Containers that are ready, of those that should run.'),
    column('Status', 'What the pod is doing, in a word.'),
    column('Restarts', 'How often containers were started again, and how long ago the last time was.'),
    AGE_COLUMN,
    wide('IP', 'Address of the pod in the cluster.'),
    wide('Node', 'The node it runs on.'),
    wide('Nominated Node', 'The node where others are made to leave for it.'),
    wide('Readiness Gates', 'Conditions it waits for beside its containers: how many are true, of how many.'),
  ],
  cells(pod, nowMs) {
    const spec = part(pod, 'spec');
    const status = part(pod, 'status');
    const sidecars = sidecarNames(spec);
    const look = lookAt(pod, sidecars);
    const total = parts(spec, 'containers').length + sidecars.size;
    const restarts =
      look.restarts === 0 || look.lastRestartMs === undefined
        ? String(look.restarts)
        : `${look.restarts} (${humanDuration(nowMs - look.lastRestartMs)} ago)`;
    return [
      nameOf(pod),
      `${look.ready}/${total}`,
      look.reason,
      restarts,
      objectAge(pod, nowMs),
      orElse(podAddress(status), NONE),
      orElse(text(spec, 'nodeName'), NONE),
      orElse(text(status, 'nominatedNodeName'), NONE),
      gatesCell(spec, status),
    ];
  },
  conditions: (pod) => ENDED[text(part(pod, 'status'), 'phase')] ?? [],
};

/** Init containers that keep running beside the others. */
function sidecarNames(spec: JsonObject): ReadonlySet<string> {
  return new Set(
    parts(spec, 'initContainers')
      .filter((each) => text(each, 'restartPolicy') === 'Always')
      .map((each) => text(each, 'name')),
  );
}

function lookAt(pod: KubeObject, sidecars: ReadonlySet<string>): Look {
  const status = part(pod, 'status');
  const phase = text(status, 'phase');
  const conditions = parts(status, 'conditions');
  const look: Look = {
    reason: orElse(text(status, 'reason'), phase),
    ready: 0,
    restarts: 0,
    lastRestartMs: undefined,
  };
  const gated = conditions.some(
    (each) => text(each, 'type') === 'PodScheduled' && text(each, 'reason') === 'SchedulingGated',
  );
  if (gated) look.reason = 'SchedulingGated';

  const initialized = conditions.find((each) => text(each, 'type') === 'Initialized');
  const initializing = lookAtInit(look, pod, sidecars);
  if (!initializing || text(initialized ?? {}, 'status') === 'True') lookAtContainers(look, pod, sidecars);

  const deleted = (pod.metadata.deletionTimestamp ?? undefined) !== undefined;
  if (deleted && text(status, 'reason') === 'NodeLost') look.reason = 'Unknown';
  else if (deleted && phase !== 'Failed' && phase !== 'Succeeded') look.reason = 'Terminating';
  return look;
}

/** Whether an init container still has to end; the first such one decides the word. */
function lookAtInit(look: Look, pod: KubeObject, sidecars: ReadonlySet<string>): boolean {
  const total = parts(part(pod, 'spec'), 'initContainers').length;
  for (const [index, container] of parts(part(pod, 'status'), 'initContainerStatuses').entries()) {
    countRestarts(look, container);
    const state = part(container, 'state');
    const terminated = partOf(state, 'terminated');
    if (terminated !== undefined && count(terminated, 'exitCode') === 0) continue;
    if (sidecars.has(text(container, 'name')) && flag(container, 'started')) {
      if (flag(container, 'ready')) look.ready += 1;
      continue;
    }
    const waiting = text(part(state, 'waiting'), 'reason');
    if (terminated !== undefined) look.reason = `Init:${endOf(terminated)}`;
    else if (waiting !== '' && waiting !== 'PodInitializing') look.reason = `Init:${waiting}`;
    else look.reason = `Init:${index}/${total}`;
    return true;
  }
  return false;
}

/** Once the init containers are done, only those of them count that keep running. */
function lookAtContainers(look: Look, pod: KubeObject, sidecars: ReadonlySet<string>): void {
  const status = part(pod, 'status');
  look.restarts = 0;
  look.lastRestartMs = undefined;
  for (const container of parts(status, 'initContainerStatuses')) {
    if (sidecars.has(text(container, 'name'))) countRestarts(look, container);
  }
  let running = false;
  for (const container of parts(status, 'containerStatuses').toReversed()) {
    countRestarts(look, container);
    const state = part(container, 'state');
    const waiting = text(part(state, 'waiting'), 'reason');
    const terminated = partOf(state, 'terminated');
    if (waiting !== '') look.reason = waiting;
    else if (terminated !== undefined) look.reason = endOf(terminated);
    else if (flag(container, 'ready') && partOf(state, 'running') !== undefined) {
      running = true;
      look.ready += 1;
    }
  }
  if (look.reason !== 'Completed' || !running) return;
  // Some have ended well, some run on: the pod runs, and is ready or not.
  const ready = parts(status, 'conditions').some(
    (each) => text(each, 'type') === 'Ready' && text(each, 'status') === 'True',
  );
  look.reason = ready ? 'Running' : 'NotReady';
}

function countRestarts(look: Look, container: JsonObject): void {
  look.restarts += count(container, 'restartCount');
  const ended = timeMs(text(part(part(container, 'lastState'), 'terminated'), 'finishedAt'));
  if (ended !== undefined && (look.lastRestartMs === undefined || look.lastRestartMs < ended)) {
    look.lastRestartMs = ended;
  }
}

/** How a container ended: the reason that is given, else the signal, else the exit code. */
function endOf(terminated: JsonObject): string {
  const reason = text(terminated, 'reason');
  if (reason !== '') return reason;
  const signal = count(terminated, 'signal');
  return signal === 0 ? `ExitCode:${count(terminated, 'exitCode')}` : `Signal:${signal}`;
}

/** podIP is what older kubelets write; where the two differ it counts. */
function podAddress(status: JsonObject): string {
  return orElse(text(status, 'podIP'), text(parts(status, 'podIPs').at(0) ?? {}, 'ip'));
}

function gatesCell(spec: JsonObject, status: JsonObject): string {
  const gates = parts(spec, 'readinessGates');
  if (gates.length === 0) return NONE;
  const conditions = parts(status, 'conditions');
  const met = gates.filter((gate) => {
    const condition = conditions.find((each) => text(each, 'type') === text(gate, 'conditionType'));
    return condition !== undefined && text(condition, 'status') === 'True';
  });
  return `${met.length}/${gates.length}`;
}
