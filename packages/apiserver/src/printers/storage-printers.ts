/**
 * Volumes, claims, their classes and drivers, as tables.
 *
 * Modelled on kubernetes' pkg/printers/internalversion; that of several default classes only the one is marked
 * that claims get, on kubernetes/kubernetes#135964.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { flag, has, items, part, partOf, parts, text, textOf, texts } from '../validation/value.ts';
import { timeMs } from './ages.ts';
import { nameOf, NONE, objectAge, orElse, quantityCell, UNSET } from './cells.ts';
import { AGE_COLUMN, column, counted, NAME_COLUMN, wide, type TablePrinter } from './printer.ts';

/** Older objects name their class here. */
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';
const DEFAULT_CLASS: readonly string[] = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const DEFAULT_ATTRIBUTES_CLASS: readonly string[] = [
  'volumeattributesclass.alpha.kubernetes.io/is-default-class',
];

const ACCESS_MODES: readonly (readonly [mode: string, short: string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

function accessModes(of: JsonObject): string {
  const modes = new Set(texts(of, 'accessModes'));
  return ACCESS_MODES.filter(([mode]) => modes.has(mode))
    .map(([, short]) => short)
    .join(',');
}

function className(object: KubeObject): string {
  return object.metadata.annotations?.[BETA_CLASS] ?? text(part(object, 'spec'), 'storageClassName');
}

/** What is being deleted says so in place of its phase. */
function phaseCell(object: KubeObject): string {
  return object.metadata.deletionTimestamp === undefined || object.metadata.deletionTimestamp === null
    ? text(part(object, 'status'), 'phase')
    : 'Terminating';
}

const VOLUME_MODE = wide('VolumeMode', 'Whether it is a file system or a raw device.');
const STORAGE_CLASS = column('StorageClass', 'The class it is of.');
const ATTRIBUTES_CLASS = column('VolumeAttributesClass', 'The class its changeable settings come from.');

export const persistentVolumePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Capacity', 'How much it holds.'),
    column('Access Modes', 'How it may be mounted, and by how many.'),
    column('Reclaim Policy', 'What becomes of it when its claim is gone.'),
    column('Status', 'Whether it is free, taken or left over.'),
    column('Claim', 'The claim it is bound to.'),
    STORAGE_CLASS,
    ATTRIBUTES_CLASS,
    column('Reason', 'Why it failed, in a word.'),
    AGE_COLUMN,
    VOLUME_MODE,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const claim = partOf(spec, 'claimRef');
    return [
      nameOf(object),
      quantityCell(part(spec, 'capacity'), 'storage'),
      accessModes(spec),
      text(spec, 'persistentVolumeReclaimPolicy'),
      phaseCell(object),
      claim === undefined ? '' : `${text(claim, 'namespace')}/${text(claim, 'name')}`,
      className(object),
      textOf(spec, 'volumeAttributesClassName') ?? UNSET,
      text(part(object, 'status'), 'reason'),
      objectAge(object, nowMs),
      textOf(spec, 'volumeMode') ?? UNSET,
    ];
  },
};

export const persistentVolumeClaimPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether it waits for a volume or has one.'),
    column('Volume', 'The volume it has.'),
    column('Capacity', 'How much that holds.'),
    column('Access Modes', 'How that may be mounted, and by how many.'),
    STORAGE_CLASS,
    ATTRIBUTES_CLASS,
    AGE_COLUMN,
    VOLUME_MODE,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    const volume = text(spec, 'volumeName');
    return [
      nameOf(object),
      phaseCell(object),
      volume,
      volume === '' ? '' : quantityCell(part(status, 'capacity'), 'storage'),
      volume === '' ? '' : accessModes(status),
      className(object),
      textOf(spec, 'volumeAttributesClassName') ?? UNSET,
      objectAge(object, nowMs),
      textOf(spec, 'volumeMode') ?? UNSET,
    ];
  },
};

function isDefault({ metadata }: KubeObject, names: readonly string[]): boolean {
  return names.some((name) => metadata.annotations?.[name] === 'true');
}

function storageClassCells(object: KubeObject, nowMs: number, marked: boolean): (string | boolean)[] {
  return [
    marked ? `${nameOf(object)} (default)` : nameOf(object),
    text(object, 'provisioner'),
    textOf(object, 'reclaimPolicy') ?? 'Delete',
    textOf(object, 'volumeBindingMode') ?? 'Immediate',
    flag(object, 'allowVolumeExpansion'),
    objectAge(object, nowMs),
  ];
}

/** The default class that claims get: the youngest, of several the first by name. */
function defaultOf(objects: readonly KubeObject[]): KubeObject | undefined {
  let found: KubeObject | undefined;
  for (const object of objects) {
    if (!isDefault(object, DEFAULT_CLASS)) continue;
    if (found === undefined) {
      found = object;
      continue;
    }
    const younger =
      (timeMs(object.metadata.creationTimestamp) ?? 0) - (timeMs(found.metadata.creationTimestamp) ?? 0);
    if (younger > 0 || (younger === 0 && nameOf(object) < nameOf(found))) found = object;
  }
  return found;
}

export const storageClassPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Provisioner', 'Who makes volumes of the class.'),
    column('ReclaimPolicy', 'What becomes of a volume when its claim is gone.'),
    column('VolumeBindingMode', 'Whether a volume is made at once or when a pod needs it.'),
    column('AllowVolumeExpansion', 'Whether claims may ask for more later.'),
    AGE_COLUMN,
  ],
  cells: (object, nowMs) => storageClassCells(object, nowMs, isDefault(object, DEFAULT_CLASS)),
  together(objects) {
    const marked = defaultOf(objects);
    return { objects, cells: (object, nowMs) => storageClassCells(object, nowMs, object === marked) };
  },
};

export const volumeAttributesClassPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('DriverName', 'The driver its settings are for.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    isDefault(object, DEFAULT_ATTRIBUTES_CLASS) ? `${nameOf(object)} (default)` : nameOf(object),
    text(object, 'driverName'),
    objectAge(object, nowMs),
  ],
};

export const volumeAttachmentPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Attacher', 'The driver that attaches it.', { format: 'name' }),
    column('PV', 'The volume that is to be attached.'),
    column('Node', 'The node it is to be attached to.'),
    column('Attached', 'Whether it is.', { type: 'boolean' }),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      text(spec, 'attacher'),
      text(part(spec, 'source'), 'persistentVolumeName'),
      text(spec, 'nodeName'),
      flag(part(object, 'status'), 'attached'),
      objectAge(object, nowMs),
    ];
  },
};

export const csiNodePrinter: TablePrinter = {
  columns: [NAME_COLUMN, counted('Drivers', 'How many drivers the node has.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    items(part(object, 'spec'), 'drivers').length,
    objectAge(object, nowMs),
  ],
};

export const csiDriverPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('AttachRequired', 'Whether volumes are attached before they are mounted.', { type: 'boolean' }),
    column('PodInfoOnMount', 'Whether the driver is told which pod mounts.', { type: 'boolean' }),
    column('StorageCapacity', 'Whether the room it has left counts when pods are placed.', {
      type: 'boolean',
    }),
    column('TokenRequests', 'Audiences of the tokens it is given of the pod.'),
    column('RequiresRepublish', 'Whether it is asked to mount again from time to time.', { type: 'boolean' }),
    column('Modes', 'Which volumes it makes: kept ones, or those of a single pod.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const audiences = parts(spec, 'tokenRequests').map((each) => text(each, 'audience'));
    return [
      nameOf(object),
      spec['attachRequired'] !== false,
      flag(spec, 'podInfoOnMount'),
      flag(spec, 'storageCapacity'),
      has(spec, 'tokenRequests') ? audiences.join(',') : UNSET,
      flag(spec, 'requiresRepublish'),
      orElse(texts(spec, 'volumeLifecycleModes').join(','), NONE),
      objectAge(object, nowMs),
    ];
  },
};

export const csiStorageCapacityPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('StorageClassName', 'The class the room is left for.'),
    column('Capacity', 'How much room is left.'),
  ],
  cells: (object) => [
    nameOf(object),
    text(object, 'storageClassName'),
    has(object, 'capacity') ? quantityCell(object, 'capacity') : UNSET,
  ],
};
