/** CSIDriver, CSINode, CSIStorageCapacity and VolumeAttachment: what storage drivers and the cluster tell each other. */

import { checkInlineVolume } from '../core/volume-spec.ts';
import { withMetadata } from '../generation.ts';
import { enabledFields } from '../../validation/disabled-fields.ts';
import { goValue } from '../../validation/go-values.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { checkDriverName } from '../../validation/volume-sources.ts';
import {
  checkDnsSubdomain,
  checkImmutable,
  checkNotNegative,
  checkQualifiedName,
  checkQuantityNotNegative,
} from '../../validation/scalars.ts';
import {
  countOf,
  has,
  part,
  partOf,
  parts,
  same,
  text,
  textMap,
  texts,
  withField,
  without,
} from '../../validation/value.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { defineKind, SPEC, STATUS, OTHERS_METADATA } from '../kinds/kind.ts';

const GROUP = { group: 'storage.k8s.io', types: 'storage' } as const;
const NODE_ID_BYTES_MAX = 256;
const NODE_UPDATE_SECONDS_MIN = 10;
const ERROR_MESSAGE_MAX = 1024;
const PREVENTS = 'preventPodSchedulingIfMissing';
const IN_SECRETS = 'serviceAccountTokenInSecrets';
const ATTACHMENT_BYTES_MAX = 256 * 1024;

export const csiDrivers = defineKind({
  ...GROUP,
  resource: 'csidrivers',
  kind: 'CSIDriver',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    allowUnconditionalUpdate: false,
    // Counted from the first change on; PreventPodSchedulingIfMissing is off (VolumeLimitScaling).
    generation: ['spec'],
    prepareForCreate: (object) =>
      withMetadata(withField(object, 'spec', without(part(object, 'spec'), PREVENTS)), {
        generation: undefined,
      }),
    prepareForUpdate: (object, old) =>
      withField(object, 'spec', enabledFields(part(object, 'spec'), part(old, 'spec'), PREVENTS)),
    warnings: (object, old) =>
      has(part(object, 'spec'), 'tokenRequests') &&
      !has(part(object, 'spec'), IN_SECRETS) &&
      (old === undefined || !same(part(old, 'spec')['tokenRequests'], part(object, 'spec')['tokenRequests']))
        ? [
            'spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes',
          ]
        : [],
    check(errors, object) {
      const spec = part(object, 'spec');
      if (has(spec, IN_SECRETS) && !has(spec, 'tokenRequests')) {
        const why = 'serviceAccountTokenInSecrets is set but no tokenRequests are specified';
        errors.invalid(SPEC.child(IN_SECRETS), spec[IN_SECRETS], why);
      }
      const policies = ['File', 'None', 'ReadWriteOnceWithFSType'];
      if (has(spec, 'fsGroupPolicy') && !policies.includes(text(spec, 'fsGroupPolicy')))
        errors.notSupported(SPEC.child('fsGroupPolicy'), text(spec, 'fsGroupPolicy'), policies);
      const audiences = new Set<string>();
      for (const [index, request] of parts(spec, 'tokenRequests').entries()) {
        const at = SPEC.child('tokenRequests').index(index);
        const audience = text(request, 'audience');
        if (audiences.has(audience)) {
          errors.duplicate(at.child('audience'), audience);
          continue;
        }
        audiences.add(audience);
        const seconds = countOf(request, 'expirationSeconds');
        if (seconds !== undefined && seconds < 600)
          errors.invalid(
            at.child('expirationSeconds'),
            seconds,
            'may not specify a duration less than 10 minutes',
          );
        if (seconds !== undefined && seconds > 2 ** 32)
          errors.invalid(
            at.child('expirationSeconds'),
            seconds,
            'may not specify a duration larger than 2^32 seconds',
          );
      }
      for (const mode of texts(spec, 'volumeLifecycleModes')) {
        if (mode !== 'Persistent' && mode !== 'Ephemeral')
          errors.notSupported(SPEC.child('volumeLifecycleModes'), mode, ['Persistent', 'Ephemeral']);
      }
      const period = countOf(spec, 'nodeAllocatableUpdatePeriodSeconds');
      if (period !== undefined && period < NODE_UPDATE_SECONDS_MIN) {
        errors.invalid(
          SPEC.child('nodeAllocatableUpdatePeriodSeconds'),
          period,
          `must be greater than or equal to ${NODE_UPDATE_SECONDS_MIN} seconds`,
        );
      }
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      checkImmutable(
        errors,
        SPEC.child('attachedRequired'),
        spec['attachRequired'],
        before['attachRequired'],
      );
      checkImmutable(
        errors,
        SPEC.child('volumeLifecycleModes'),
        spec['volumeLifecycleModes'],
        before['volumeLifecycleModes'],
      );
    },
  },
});

export const csiNodes = defineKind({
  ...GROUP,
  resource: 'csinodes',
  kind: 'CSINode',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    allowUnconditionalUpdate: false,
    check(errors, object) {
      const names = new Set<string>();
      for (const [index, driver] of parts(part(object, 'spec'), 'drivers').entries()) {
        const at = SPEC.child('drivers').index(index);
        const name = text(driver, 'name');
        checkDriverName(errors, at.child('name'), name);
        const node = text(driver, 'nodeID');
        if (node === '') errors.required(at.child('nodeID'));
        if (node.length > NODE_ID_BYTES_MAX)
          errors.invalid(at.child('nodeID'), node, `must be ${NODE_ID_BYTES_MAX} characters or less`);
        checkNotNegative(
          errors,
          at.child('allocatable', 'count'),
          countOf(part(driver, 'allocatable'), 'count'),
        );
        if (names.has(name)) errors.duplicate(at.child('name'), name);
        names.add(name);
        const keys = new Set<string>();
        for (const key of texts(driver, 'topologyKeys')) {
          if (key === '') errors.required(at);
          if (keys.has(key)) errors.duplicate(at, key);
          keys.add(key);
          checkQualifiedName(errors, at, key);
        }
      }
    },
    checkUpdate(errors, object, old) {
      const now = parts(part(object, 'spec'), 'drivers');
      for (const before of parts(part(old, 'spec'), 'drivers')) {
        const kept = now.find((driver) => text(driver, 'name') === text(before, 'name'));
        const changed = (name: string): boolean => kept !== undefined && !same(kept[name], before[name]);
        if (kept === undefined || !(changed('nodeID') || changed('topologyKeys'))) continue;
        const shown = {
          Name: text(kept, 'name'),
          NodeID: text(kept, 'nodeID'),
          TopologyKeys: kept['topologyKeys'] ?? null,
          Allocatable: null,
        };
        errors.invalid(SPEC.child('drivers'), shown, 'field is immutable');
      }
    },
  },
});

export const csiStorageCapacities = defineKind({
  ...GROUP,
  resource: 'csistoragecapacities',
  kind: 'CSIStorageCapacity',
  scope: 'Namespaced',
  checks: {
    allowUnconditionalUpdate: false,
    check(errors, object) {
      checkLabelSelector(errors, FieldPath.of('nodeTopology'), partOf(object, 'nodeTopology'));
      checkDnsSubdomain(errors, FieldPath.of('storageClassName'), text(object, 'storageClassName'));
      if (has(object, 'capacity'))
        checkQuantityNotNegative(errors, FieldPath.of('capacity'), object['capacity']);
    },
    checkUpdate(errors, object, old) {
      const topology = (of: typeof object): unknown => goValue('v1.LabelSelector', of['nodeTopology']);
      checkImmutable(errors, FieldPath.of('nodeTopology'), topology(object), topology(old));
      const named = FieldPath.of('storageClassName');
      checkImmutable(errors, named, object['storageClassName'], old['storageClassName']);
    },
  },
});

export const volumeAttachments = defineKind({
  ...GROUP,
  resource: 'volumeattachments',
  kind: 'VolumeAttachment',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    allowUnconditionalUpdate: false,
    check: checkVolumeAttachment,
    checkKept(errors, object, old) {
      if (!same(object['spec'], old['spec'])) {
        const shown = goValue('storage.VolumeAttachmentSpec', object['spec']);
        errors.invalid(SPEC, shown, 'field is immutable');
      }
    },
    status: {
      keepsMetadata: OTHERS_METADATA,
      check: checkVolumeAttachment,
    },
  },
});

function checkVolumeAttachment(errors: FieldErrors, object: KubeObject): void {
  const spec = part(object, 'spec');
  checkDriverName(errors, SPEC.child('attacher'), text(spec, 'attacher'));
  const source = part(spec, 'source');
  const name = text(source, 'persistentVolumeName');
  const inline = has(source, 'inlineVolumeSpec');
  if (!inline && !has(source, 'persistentVolumeName'))
    errors.required(
      SPEC.child('source'),
      'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    );
  if (inline && has(source, 'persistentVolumeName'))
    errors.forbidden(
      SPEC.child('source'),
      'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    );
  if (!inline && has(source, 'persistentVolumeName') && name === '')
    errors.required(
      SPEC.child('source', 'persistentVolumeName'),
      'must specify non empty persistentVolumeName',
    );
  const volume = partOf(source, 'inlineVolumeSpec');
  if (volume !== undefined && !has(source, 'persistentVolumeName'))
    checkInlineVolume(errors, SPEC.child('source', 'inlineVolumeSpec'), volume);
  const node = text(spec, 'nodeName');
  checkDnsSubdomain(errors, SPEC.child('nodeName'), node);
  checkAttachment(errors, part(object, 'status'));
  if (has(source, 'persistentVolumeName'))
    checkDnsSubdomain(errors, SPEC.child('source', 'persistentVolumeName'), name);
}

function checkAttachment(errors: FieldErrors, status: JsonObject): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(textMap(status, 'attachmentMetadata')))
    bytes += key.length + value.length;
  if (bytes > ATTACHMENT_BYTES_MAX) errors.tooLong(STATUS.child('attachmentMetadata'), ATTACHMENT_BYTES_MAX);
  for (const name of ['attachError', 'detachError']) {
    const error = part(status, name);
    // The limit the message speaks of is upstream's, which is not the one it holds to.
    if (text(error, 'message').length > ERROR_MESSAGE_MAX)
      errors.tooLong(STATUS.child(name, 'message'), ATTACHMENT_BYTES_MAX);
    const code = countOf(error, 'errorCode');
    if (code !== undefined && code < 0)
      errors.invalid(STATUS.child(name, 'errorCode'), code, 'must be between 0 and 2147483647, inclusive');
  }
}
