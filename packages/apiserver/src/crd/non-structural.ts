/**
 * The condition of a definition whose schemas are not structural: those that were stored before that was asked for and
 * keep what nobody named. New ones are refused, so nothing is looked at unless the definition may be such a one. Pure.
 */

import type { KubeObject } from '../api/meta.ts';
import { FieldPath } from '../validation/field-path.ts';
import { flag, part, partOf, parts } from '../validation/value.ts';
import { conditionOf, type Condition } from './conditions.ts';
import { structuralErrors } from './structural-errors.ts';

const TYPE = 'NonStructuralSchema';

/** Undefined where all schemas are structural, as they mostly are. */
export function nonStructuralCondition(crd: KubeObject): Condition | undefined {
  const spec = part(crd, 'spec');
  if (!flag(spec, 'preserveUnknownFields') && conditionOf(crd, TYPE) === undefined) return undefined;
  const errors = parts(spec, 'versions').flatMap((version, index) => {
    const schema = partOf(part(version, 'schema'), 'openAPIV3Schema');
    const path = FieldPath.of('spec', 'versions').index(index).child('schema', 'openAPIV3Schema');
    return schema === undefined ? [] : structuralErrors(schema, path);
  });
  if (errors.length === 0) return undefined;
  const told = errors.map(({ field, body }) => `${field}: ${body}`);
  return {
    type: TYPE,
    status: 'True',
    reason: 'Violations',
    message: told.length === 1 ? told[0] : `[${told.join(', ')}]`,
  };
}
