/**
 * Kinds that are not settled yet, as tables.
 *
 * Modelled on kubernetes' pkg/printers/internalversion.
 */

import type { JsonObject } from '../api/json.ts';
import { count, countOf, has, part, partOf, parts, text, textMap, textOf } from '../validation/value.ts';
import { ageOf } from './ages.ts';
import { nameOf, NONE, objectAge, UNSET } from './cells.ts';
import { AGE_COLUMN, column, counted, NAME_COLUMN, type TablePrinter } from './printer.ts';

export const clusterTrustBundlePrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('SignerName', 'Whose certificates these are.')],
  cells: (object) => [nameOf(object), text(part(object, 'spec'), 'signerName') || NONE],
};

export const podCertificateRequestPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('PodName', 'The pod it is for.'),
    column('ServiceAccountName', 'Whom that pod acts as.'),
    column('NodeName', 'Where it runs.'),
    column('SignerName', 'Who is asked.'),
    column('State', 'Whether it waits, is granted, refused or failed.'),
    column('UnverifiedUserAnnotations', 'What the pod says to the signer.'),
  ],
  cells(object) {
    const spec = part(object, 'spec');
    const types = parts(part(object, 'status'), 'conditions').map((condition) => text(condition, 'type'));
    const state = types.findLast((type) => ['Issued', 'Denied', 'Failed'].includes(type)) ?? 'Pending';
    const said = Object.entries(textMap(spec, 'unverifiedUserAnnotations')).map((pair) => pair.join('='));
    return [
      nameOf(object),
      text(spec, 'podName'),
      text(spec, 'serviceAccountName'),
      text(spec, 'nodeName'),
      text(spec, 'signerName'),
      state,
      said.length === 0 ? NONE : said.toSorted().join(','),
    ];
  },
};

export const leaseCandidatePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('LeaseName', 'What it would lead.'),
    column('BinaryVersion', 'The version it is.'),
    column('EmulationVersion', 'The version it acts as.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      text(spec, 'leaseName'),
      text(spec, 'binaryVersion'),
      text(spec, 'emulationVersion'),
      objectAge(object, nowMs),
    ];
  },
};

const SERVERS_SHOWN = 3;

export const storageVersionPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('CommonEncodingVersion', 'The version all servers write.'),
    column('StorageVersions', 'The version each server writes.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const status = part(object, 'status');
    const servers = parts(status, 'storageVersions').map(
      (server) => `${text(server, 'apiServerID')}=${text(server, 'encodingVersion')}`,
    );
    const shown = servers.slice(0, SERVERS_SHOWN).join(',');
    const more = servers.length - SERVERS_SHOWN;
    return [
      nameOf(object),
      textOf(status, 'commonEncodingVersion') ?? UNSET,
      servers.length === 0 ? UNSET : more > 0 ? `${shown} + ${more} more...` : shown,
      objectAge(object, nowMs),
    ];
  },
};

export const deviceTaintRulePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Key', 'What the taint is called.'),
    column('Value', 'What it says.'),
    column('Effect', 'What it does to claims.'),
    column('TimeAdded', 'Since when it stands.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const taint = part(part(object, 'spec'), 'taint');
    return [
      nameOf(object),
      text(taint, 'key'),
      text(taint, 'value'),
      text(taint, 'effect'),
      has(taint, 'timeAdded') ? ageOf(text(taint, 'timeAdded'), nowMs) : '',
      objectAge(object, nowMs),
    ];
  },
};

export const resourcePoolStatusRequestPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Driver', 'Whose pools are asked for.'),
    column('Total', 'Devices of all these pools.'),
    column('Available', 'Those that are free.'),
    column('Allocated', 'Those that are taken.'),
    column('Unavailable', 'Those that cannot be taken.'),
    column('Errors', 'Pools that contradict themselves.'),
    counted('Pools', 'How many pools there are.'),
    column('Status', 'How far the answer is.'),
    column('Completed', 'How long ago it came.'),
  ],
  cells(object, nowMs) {
    const status = partOf(object, 'status');
    const driver = text(part(object, 'spec'), 'driver');
    if (status === undefined) {
      return [nameOf(object), driver, '-', '-', '-', '-', '-', 0, 'Pending', NONE];
    }
    const pools = parts(status, 'pools');
    const all = countOf(status, 'poolCount') ?? 0;
    const done = parts(status, 'conditions').find(
      (condition) =>
        ['Complete', 'Failed'].includes(text(condition, 'type')) && text(condition, 'status') === 'True',
    );
    const word = text(done ?? {}, 'type') || 'Pending';
    const sum = (name: string): string =>
      word === 'Failed' ? '-' : String(pools.reduce((total, pool) => total + count(pool, name), 0));
    return [
      nameOf(object),
      driver,
      sum('totalDevices'),
      sum('availableDevices'),
      sum('allocatedDevices'),
      sum('unavailableDevices'),
      word === 'Failed' ? '-' : String(pools.filter((pool) => has(pool, 'validationError')).length),
      all,
      word === 'Complete' && all > pools.length ? `Complete (${pools.length}/${all} pools)` : word,
      done === undefined || word !== 'Complete' ? NONE : ageOf(text(done, 'lastTransitionTime'), nowMs),
    ];
  },
};

export const storageVersionMigrationPrinter: TablePrinter = {
  columns: [
    column('Name', 'Its name.'),
    column('Resource', 'The resource whose objects are written anew.'),
    column('Status', 'How far that is.'),
  ],
  cells(object) {
    const { group, resource } = named(part(part(object, 'spec'), 'resource'));
    const states = parts(part(object, 'status'), 'conditions')
      .filter((condition) => text(condition, 'status') === 'True')
      .map((condition) => text(condition, 'type'))
      .filter((type) => ['Running', 'Failed', 'Succeeded'].includes(type));
    return [nameOf(object), group === '' ? resource : `${resource}.${group}`, states.at(-1) ?? 'Unknown'];
  },
};

function named(of: JsonObject): { readonly group: string; readonly resource: string } {
  return { group: text(of, 'group'), resource: text(of, 'resource') };
}

export const podGroupPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Policy', 'How its pods are scheduled.'),
    column('Workload', 'What it is a part of.'),
    column('Status', 'Whether it is scheduled.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const conditions = parts(part(object, 'status'), 'conditions');
    const of = (type: string): JsonObject | undefined =>
      conditions.findLast((condition) => text(condition, 'type') === type);
    const [scheduled, disrupted] = [of('PodGroupScheduled'), of('DisruptionTarget')];
    let status = 'Pending';
    if (scheduled !== undefined) {
      status = text(scheduled, 'status') === 'True' ? 'Scheduled' : 'Unschedulable';
    }
    if (disrupted !== undefined) status = text(disrupted, 'reason');
    const reference = partOf(spec, 'podGroupTemplateRef');
    return [
      nameOf(object),
      has(part(spec, 'schedulingPolicy'), 'gang') ? 'Gang' : 'Basic',
      reference === undefined ? NONE : text(part(reference, 'workload'), 'workloadName'),
      status,
      objectAge(object, nowMs),
    ];
  },
};
