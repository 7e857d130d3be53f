/** APIService: who serves a group and version, this server or another. */

import {
  dns1035LabelErrors,
  dnsSubdomainErrors,
  pathSegmentErrors,
  portNumberErrors,
} from '../../validation/names.ts';
import { count, flag, has, part, partOf, text } from '../../validation/value.ts';
import { defineKind, METADATA, SPEC, STATUS } from '../kinds/kind.ts';
import { parts } from '../../validation/value.ts';

export const apiServices = defineKind({
  group: 'apiregistration.k8s.io',
  types: 'apiregistration',
  resource: 'apiservices',
  kind: 'APIService',
  written: { mediaType: 'json' },
  scope: 'Cluster',
  categories: ['api-extensions'],
  keyPrefix: 'apiregistration.k8s.io/apiservices',
  checks: {
    allowUnconditionalUpdate: false,
    // `v1.` is one.
    nameErrors: (name) => pathSegmentErrors(name),
    prepareForCreate(object) {
      // One that this server answers for is there from the start.
      const local = !has(part(object, 'spec'), 'service');
      if (!local) return object;
      const time = object.metadata.creationTimestamp ?? null;
      return {
        ...object,
        status: {
          conditions: [
            {
              type: 'Available',
              status: 'True',
              lastTransitionTime: time,
              reason: 'Local',
              message: 'Local APIServices are always available',
            },
          ],
        },
      };
    },
    check(errors, object) {
      const spec = part(object, 'spec');
      const group = text(spec, 'group');
      const version = text(spec, 'version');
      const name = object.metadata.name ?? '';
      if (pathSegmentErrors(name).length === 0 && name !== `${version}.${group}`) {
        errors.invalid(
          METADATA.child('name'),
          name,
          `must be \`spec.version+"."+spec.group\`: "${version}.${group}"`,
        );
      }
      if (group === '' && version !== 'v1') {
        errors.required(SPEC.child('group'), 'only v1 may have an empty group and it better be legacy kube');
      }
      if (group !== '') {
        for (const wrong of dnsSubdomainErrors(group)) errors.invalid(SPEC.child('group'), group, wrong);
      }
      for (const wrong of dns1035LabelErrors(version)) errors.invalid(SPEC.child('version'), version, wrong);
      const groupPriority = count(spec, 'groupPriorityMinimum');
      if (groupPriority <= 0 || groupPriority > 20_000) {
        errors.invalid(
          SPEC.child('groupPriorityMinimum'),
          groupPriority,
          'must be positive and less than 20000',
        );
      }
      const versionPriority = count(spec, 'versionPriority');
      if (versionPriority <= 0 || versionPriority > 1000) {
        errors.invalid(SPEC.child('versionPriority'), versionPriority, 'must be positive and less than 1000');
      }
      const service = partOf(spec, 'service');
      const bundle = text(spec, 'caBundle') !== '';
      if (service === undefined) {
        if (bundle) {
          const size = Buffer.from(text(spec, 'caBundle'), 'base64').length;
          errors.invalid(
            SPEC.child('caBundle'),
            `${size} bytes`,
            'local APIServices may not have a caBundle',
          );
        }
        if (flag(spec, 'insecureSkipTLSVerify'))
          errors.invalid(
            SPEC.child('insecureSkipTLSVerify'),
            true,
            'local APIServices may not have insecureSkipTLSVerify',
          );
        return;
      }
      for (const field of ['namespace', 'name']) {
        if (text(service, field) === '') errors.required(SPEC.child('service', field));
      }
      if (has(service, 'port')) {
        const port = count(service, 'port');
        for (const wrong of portNumberErrors(port))
          errors.invalid(SPEC.child('service', 'port'), port, `port is not valid: ${wrong}`);
      }
      if (flag(spec, 'insecureSkipTLSVerify') && bundle) {
        errors.invalid(SPEC.child('insecureSkipTLSVerify'), true, 'may not be true if caBundle is present');
      }
    },
    status: {
      keepsMetadata: ['labels'],
      prepare(object, old) {
        const { annotations, finalizers, ownerReferences } = old.metadata;
        const {
          annotations: _annotations,
          finalizers: _finalizers,
          ownerReferences: _owners,
          ...metadata
        } = object.metadata;
        return {
          ...object,
          metadata: {
            ...metadata,
            ...(annotations === undefined ? {} : { annotations }),
            ...(finalizers === undefined ? {} : { finalizers }),
            ...(ownerReferences === undefined ? {} : { ownerReferences }),
          },
        };
      },
      check(errors, object) {
        for (const [index, condition] of parts(part(object, 'status'), 'conditions').entries()) {
          const state = text(condition, 'status');
          if (!['False', 'True', 'Unknown'].includes(state)) {
            errors.notSupported(STATUS.child('conditions').index(index).child('status'), state, [
              'True',
              'False',
              'Unknown',
            ]);
          }
        }
      },
    },
  },
});
