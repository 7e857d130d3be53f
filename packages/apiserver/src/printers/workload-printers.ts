/**
 * What runs pods, as tables: controllers of replicas, daemons, jobs and their schedules, templates, revisions.
 *
 * Modelled on kubernetes' pkg/printers/internalversion.
 */

import type { JsonObject } from '../api/json.ts';
import { parseApiVersion } from '../api/meta.ts';
import {
  count,
  countOf,
  items,
  part,
  parts,
  text,
  textMap,
  textOf,
  type Fields,
} from '../validation/value.ts';
import { ageOf, humanDuration, timeMs } from './ages.ts';
import {
  containerCells,
  labelsCell,
  nameOf,
  NONE,
  objectAge,
  plainSelector,
  selectorCell,
  templateSpec,
  UNSET,
} from './cells.ts';
import {
  AGE_COLUMN,
  column,
  counted,
  NAME_COLUMN,
  wide,
  type PrinterColumn,
  type TablePrinter,
} from './printer.ts';

const CONTAINERS: readonly PrinterColumn[] = [
  wide('Containers', 'Names of the containers of the template.'),
  wide('Images', 'Images of the containers of the template.'),
];
const SELECTOR = wide('Selector', 'Labels of the pods it looks after.');

/** Columns of whatever keeps a number of pods. */
const REPLICAS: readonly PrinterColumn[] = [
  NAME_COLUMN,
  counted('Desired', 'How many pods there should be.'),
  counted('Current', 'How many pods there are.'),
  counted('Ready', 'How many of them are ready.'),
  AGE_COLUMN,
  ...CONTAINERS,
  SELECTOR,
];

/** @param selector what the spec selects, as it is shown */
function replicasPrinter(selector: (spec: Fields) => string): TablePrinter {
  return {
    columns: REPLICAS,
    cells(object, nowMs) {
      const spec = part(object, 'spec');
      const status = part(object, 'status');
      return [
        nameOf(object),
        count(spec, 'replicas'),
        count(status, 'replicas'),
        count(status, 'readyReplicas'),
        objectAge(object, nowMs),
        ...containerCells(templateSpec(spec)),
        selector(spec),
      ];
    },
  };
}

export const replicationControllerPrinter = replicasPrinter((spec) => labelsCell(textMap(spec, 'selector')));
export const replicaSetPrinter = replicasPrinter((spec) => selectorCell(spec, 'selector'));

export const deploymentPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'Pods that are ready, of those there should be.'),
    column('Up-to-date', 'Pods of the newest template.'),
    column('Available', 'Pods that have been ready long enough.'),
    AGE_COLUMN,
    ...CONTAINERS,
    SELECTOR,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    return [
      nameOf(object),
      `${count(status, 'readyReplicas')}/${count(spec, 'replicas')}`,
      count(status, 'updatedReplicas'),
      count(status, 'availableReplicas'),
      objectAge(object, nowMs),
      ...containerCells(templateSpec(spec)),
      plainSelector(spec, 'selector', '<invalid>'),
    ];
  },
};

export const statefulSetPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'Pods that are ready, of those there should be.'),
    AGE_COLUMN,
    ...CONTAINERS,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      `${count(part(object, 'status'), 'readyReplicas')}/${count(spec, 'replicas')}`,
      objectAge(object, nowMs),
      ...containerCells(templateSpec(spec)),
    ];
  },
};

export const daemonSetPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    counted('Desired', 'Nodes that should run the daemon.'),
    counted('Current', 'Nodes of these that run it.'),
    counted('Ready', 'Nodes where it is ready.'),
    counted('Up-to-date', 'Nodes that run the newest template.'),
    counted('Available', 'Nodes where it has been ready long enough.'),
    column('Node Selector', 'Labels a node needs to run it.'),
    AGE_COLUMN,
    ...CONTAINERS,
    SELECTOR,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    const podSpec = templateSpec(spec);
    return [
      nameOf(object),
      count(status, 'desiredNumberScheduled'),
      count(status, 'currentNumberScheduled'),
      count(status, 'numberReady'),
      count(status, 'updatedNumberScheduled'),
      count(status, 'numberAvailable'),
      labelsCell(textMap(podSpec, 'nodeSelector')),
      objectAge(object, nowMs),
      ...containerCells(podSpec),
      selectorCell(spec, 'selector'),
    ];
  },
};

export const jobPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Status', 'How the job goes, in a word.'),
    column('Completions', 'Pods that ended well, of those that must.'),
    column('Duration', 'From the start to the end, or until now.'),
    AGE_COLUMN,
    ...CONTAINERS,
    SELECTOR,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    const deleted = (object.metadata.deletionTimestamp ?? undefined) !== undefined;
    return [
      nameOf(object),
      jobStatus(parts(status, 'conditions'), deleted),
      completions(spec, status),
      jobDuration(status, nowMs),
      objectAge(object, nowMs),
      ...containerCells(templateSpec(spec)),
      selectorCell(spec, 'selector'),
    ];
  },
};

function jobStatus(conditions: readonly JsonObject[], deleted: boolean): string {
  const has = (type: string): boolean => {
    const found = conditions.find((each) => text(each, 'type') === type);
    return found !== undefined && text(found, 'status') === 'True';
  };
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (deleted) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  return has('FailureTarget') ? 'FailureTarget' : 'Running';
}

function completions(spec: JsonObject, status: JsonObject): string {
  const succeeded = count(status, 'succeeded');
  const wanted = countOf(spec, 'completions');
  if (wanted !== undefined) return `${succeeded}/${wanted}`;
  // Without a number, the first pod of several workers that ends well completes the job.
  const parallelism = count(spec, 'parallelism');
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(status: JsonObject, nowMs: number): string {
  const start = timeMs(text(status, 'startTime'));
  if (start === undefined) return '';
  return humanDuration((timeMs(text(status, 'completionTime')) ?? nowMs) - start);
}

export const cronJobPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Schedule', 'When jobs are made, in the form of cron.'),
    column('Timezone', 'The zone the schedule is read in.'),
    column('Suspend', 'Whether no more jobs are made.', { type: 'boolean' }),
    counted('Active', 'How many of its jobs run now.'),
    column('Last Schedule', 'How long ago the last job was made.'),
    AGE_COLUMN,
    ...CONTAINERS,
    SELECTOR,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    const job = part(part(spec, 'jobTemplate'), 'spec');
    const last = textOf(status, 'lastScheduleTime');
    return [
      nameOf(object),
      text(spec, 'schedule'),
      textOf(spec, 'timeZone') ?? NONE,
      suspendCell(spec['suspend']),
      items(status, 'active').length,
      last === undefined ? NONE : ageOf(last, nowMs),
      objectAge(object, nowMs),
      ...containerCells(templateSpec(job)),
      selectorCell(job, 'selector'),
    ];
  },
};

function suspendCell(value: unknown): string {
  if (typeof value !== 'boolean') return UNSET;
  return value ? 'True' : 'False';
}

export const podTemplatePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Containers', 'Names of the containers of the template.'),
    column('Images', 'Images of the containers of the template.'),
    column('Pod Labels', 'Labels of the pods that are made of it.'),
  ],
  cells(object) {
    const template = part(object, 'template');
    return [
      nameOf(object),
      ...containerCells(part(template, 'spec')),
      labelsCell(textMap(part(template, 'metadata'), 'labels')),
    ];
  },
};

export const controllerRevisionPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Controller', 'What it is a past state of.'),
    column('Revision', 'Which one of the states, counted upwards.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
    const revision = object['revision'];
    let controller = NONE;
    if (owner !== undefined) {
      const group = parseApiVersion(owner.apiVersion)?.group ?? '';
      const kind = group === '' ? owner.kind : `${owner.kind}.${group}`;
      controller = `${kind.toLowerCase()}/${owner.name}`;
    }
    return [
      nameOf(object),
      controller,
      // A revision has 64 bits; what JSON read of it is written again.
      typeof revision === 'bigint' ? revision : count(object, 'revision'),
      objectAge(object, nowMs),
    ];
  },
};

/** autoscaling/v1 Scale, under whatever it scales. */
export const scalePrinter: TablePrinter = {
  columns: [
    column('Name', 'What is scaled.'),
    counted('Desired', 'How many pods there should be.'),
    counted('Available', 'How many pods there are.'),
    AGE_COLUMN,
  ],
  cells: (object, nowMs) => [
    nameOf(object),
    count(part(object, 'spec'), 'replicas'),
    count(part(object, 'status'), 'replicas'),
    objectAge(object, nowMs),
  ],
};
