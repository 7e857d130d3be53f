/** LimitRange: bounds and defaults of what containers, pods and claims may ask for. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import {
  checkContainerResourceName,
  checkResourceName,
  isOvercommitted,
} from '../../validation/pod-resources.ts';
import { checkQualifiedName, quantity } from '../../validation/scalars.ts';
import { part, parts, text } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

export const limitRanges = defineKind({
  group: '',
  types: 'core',
  resource: 'limitranges',
  kind: 'LimitRange',
  scope: 'Namespaced',
  shortNames: ['limits'],
  checks: {
    allowCreateOnUpdate: true,
    check(errors, object) {
      const types = new Set<string>();
      for (const [index, item] of parts(part(object, 'spec'), 'limits').entries()) {
        const at = SPEC.child('limits').index(index);
        const type = text(item, 'type');
        const before = errors.size;
        checkQualifiedName(errors, at.child('type'), type);
        if (
          errors.size === before &&
          !type.includes('/') &&
          !['Container', 'PersistentVolumeClaim', 'Pod'].includes(type)
        ) {
          errors.invalid(at.child('type'), type, 'must be a standard limit type or fully qualified');
        }
        if (types.has(type)) errors.duplicate(at.child('type'), type);
        types.add(type);
        checkItem(errors, at, item, type);
      }
    },
  },
});

const DEFAULTS: readonly string[] = ['default', 'defaultRequest'];

function checkItem(errors: FieldErrors, path: FieldPath, item: JsonObject, type: string): void {
  const keys = new Set<string>();
  const checkNames = (name: string): void => {
    for (const key of Object.keys(part(item, name))) {
      keys.add(key);
      const at = path.child(name).key(key);
      if (type === 'Pod' || type === 'Container') checkContainerResourceName(errors, at, key);
      else checkResourceName(errors, at, key);
    }
  };
  checkNames('max');
  checkNames('min');
  for (const name of DEFAULTS) {
    if (type !== 'Pod') checkNames(name);
    else if (Object.keys(part(item, name)).length > 0)
      errors.forbidden(path.child(name), "may not be specified when `type` is 'Pod'");
  }
  if (type === 'PersistentVolumeClaim') {
    const given = part(item, 'min')['storage'] ?? part(item, 'max')['storage'];
    if (given === undefined)
      errors.required(
        path.child('limits'),
        'either minimum or maximum storage value is required, but neither was provided',
      );
  }
  checkNames('maxLimitRequestRatio');
  for (const key of keys) {
    const amount = (name: string): string | undefined => {
      if (type === 'Pod' && DEFAULTS.includes(name)) return undefined;
      const value = part(item, name)[key];
      return typeof value === 'string' ? value : undefined;
    };
    const min = amount('min');
    const max = amount('max');
    const byDefault = amount('default');
    const request = amount('defaultRequest');
    for (const [at, shown, lower, low, upper, high] of [
      ['min', min, 'min', min, 'max', max],
      ['defaultRequest', request, 'min', min, 'default request', request],
      ['defaultRequest', request, 'default request', request, 'max', max],
      ['defaultRequest', request, 'default request', request, 'default limit', byDefault],
      ['default', min, 'min', min, 'default', byDefault],
      ['default', max, 'default', byDefault, 'max', max],
    ] as const) {
      if (low === undefined || high === undefined || quantity(low).compare(quantity(high)) <= 0) continue;
      errors.invalid(
        path.child(at).key(key),
        shown,
        `${lower} value ${low} is greater than ${upper} value ${high}`,
      );
    }
    const ratio = amount('maxLimitRequestRatio');
    if (ratio !== undefined) {
      if (quantity(ratio).compare(quantity('1')) < 0) {
        errors.invalid(path.child('maxLimitRequestRatio').key(key), ratio, `ratio ${ratio} is less than 1`);
      }
      if (min !== undefined && max !== undefined && quantity(min).nanos !== 0n) {
        const limit = Number(quantity(max).nanos) / Number(quantity(min).nanos);
        if (Number(quantity(ratio).millis()) / 1000 > limit) {
          errors.invalid(
            path.child('maxLimitRequestRatio').key(key),
            ratio,
            `ratio ${ratio} is greater than max/min = ${limit.toFixed(6)}`,
          );
        }
      }
    }
    if (
      byDefault !== undefined &&
      request !== undefined &&
      !isOvercommitted(key) &&
      quantity(byDefault).compare(quantity(request)) !== 0
    ) {
      errors.invalid(
        path.child('defaultRequest').key(key),
        request,
        `default value ${byDefault} must equal to defaultRequest value ${request} in ${key}`,
      );
    }
  }
}
