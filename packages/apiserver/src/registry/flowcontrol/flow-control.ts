/** FlowSchema and PriorityLevelConfiguration: whose requests wait for whose. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { dnsSubdomainErrors } from '../../validation/names.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count, countOf, flag, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { defineKind, METADATA, SPEC } from '../kinds/kind.ts';

const GROUP = { group: 'flowcontrol.apiserver.k8s.io', types: 'flowcontrol', scope: 'Cluster' } as const;
const QUEUES_MAX = 10_000_000;
const VERBS: readonly string[] = [
  '*',
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'proxy',
  'update',
  'watch',
];

export const flowSchemas = defineKind({
  ...GROUP,
  resource: 'flowschemas',
  kind: 'FlowSchema',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      const precedence = count(spec, 'matchingPrecedence');
      if (precedence <= 0)
        errors.invalid(SPEC.child('matchingPrecedence'), precedence, 'must be a positive value');
      if (precedence > 10_000)
        errors.invalid(SPEC.child('matchingPrecedence'), precedence, 'must not be greater than 10000');
      if (precedence === 1 && object.metadata.name !== 'exempt') {
        errors.invalid(
          SPEC.child('matchingPrecedence'),
          precedence,
          "only the schema named 'exempt' may have matchingPrecedence 1",
        );
      }
      const method = partOf(spec, 'distinguisherMethod');
      if (method !== undefined && !['ByNamespace', 'ByUser'].includes(text(method, 'type'))) {
        errors.notSupported(SPEC.child('distinguisherMethod', 'type'), text(method, 'type'), [
          'ByNamespace',
          'ByUser',
        ]);
      }
      const level = text(part(spec, 'priorityLevelConfiguration'), 'name');
      if (level === '')
        errors.required(SPEC.child('priorityLevelConfiguration', 'name'), 'must reference a priority level');
      else
        errors.invalids(SPEC.child('priorityLevelConfiguration', 'name'), level, dnsSubdomainErrors(level));
      for (const [index, rule] of parts(spec, 'rules').entries())
        checkRule(errors, SPEC.child('rules').index(index), rule);
    },
    status: {},
  },
});

function checkRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  const subjects = parts(rule, 'subjects');
  if (subjects.length === 0)
    errors.required(path.child('subjects'), 'subjects must contain at least one value');
  for (const [index, subject] of subjects.entries()) {
    const at = path.child('subjects').index(index);
    const kind = text(subject, 'kind');
    const field = { User: 'user', Group: 'group', ServiceAccount: 'serviceAccount' }[kind];
    if (field === undefined) errors.notSupported(at.child('kind'), kind, ['Group', 'ServiceAccount', 'User']);
    else if (!has(subject, field))
      errors.required(at.child(field), `${field} is required when subject kind is '${kind}'`);
    else {
      if (text(part(subject, field), 'name') === '') errors.required(at.child(field, 'name'));
      if (field === 'serviceAccount' && text(part(subject, field), 'namespace') === '')
        errors.required(at.child(field, 'namespace'), 'must specify namespace for service account');
    }
  }
  if (parts(rule, 'resourceRules').length === 0 && parts(rule, 'nonResourceRules').length === 0) {
    errors.required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty');
  }
  for (const [list, fields] of [
    ['resourceRules', ['verbs', 'apiGroups', 'resources']],
    ['nonResourceRules', ['verbs', 'nonResourceURLs']],
  ] as const) {
    for (const [index, each] of parts(rule, list).entries()) {
      const at = path.child(list).index(index);
      for (const name of fields) {
        const values = texts(each, name);
        if (values.length === 0) errors.required(at.child(name), `${name} must contain at least one value`);
        else if (values.includes('*') && values.length > 1)
          errors.invalid(at.child(name), values, `if '*' is present, must not specify other ${name}`);
        else if (
          name === 'verbs' &&
          list === 'resourceRules' &&
          values.some((verb) => !VERBS.includes(verb))
        ) {
          errors.notSupported(at.child('verbs'), values, VERBS);
        }
      }
      if (list === 'resourceRules' && texts(each, 'namespaces').length === 0 && !flag(each, 'clusterScope')) {
        errors.required(
          at.child('namespaces'),
          'resource rules that are not cluster scoped must supply at least one namespace',
        );
      }
    }
  }
}

export const priorityLevelConfigurations = defineKind({
  ...GROUP,
  resource: 'prioritylevelconfigurations',
  kind: 'PriorityLevelConfiguration',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      const name = object.metadata.name ?? '';
      const type = text(spec, 'type');
      if ((type === 'Exempt') !== (name === 'exempt')) {
        errors.invalid(SPEC.child('type'), type, "type must be 'Exempt' if and only if `name` is 'exempt'");
      }
      if (type === 'Exempt') {
        if (has(spec, 'limited'))
          errors.forbidden(SPEC.child('limited'), 'must be nil if the type is not Limited');
        checkNotNegative(
          errors,
          SPEC.child('exempt', 'nominalConcurrencyShares'),
          countOf(part(spec, 'exempt'), 'nominalConcurrencyShares'),
        );
        checkPercent(
          errors,
          SPEC.child('exempt', 'lendablePercent'),
          countOf(part(spec, 'exempt'), 'lendablePercent'),
        );
      } else if (type === 'Limited') {
        if (has(spec, 'exempt')) errors.forbidden(SPEC.child('exempt'), 'must be nil if the type is Limited');
        const limited = partOf(spec, 'limited');
        if (limited === undefined)
          errors.required(SPEC.child('limited'), 'must not be empty when type is Limited');
        else checkLimited(errors, SPEC.child('limited'), limited);
      } else errors.notSupported(SPEC.child('type'), type, ['Exempt', 'Limited']);
      if (name === '') errors.required(METADATA.child('name'));
    },
    status: {},
  },
});

function checkPercent(errors: FieldErrors, path: FieldPath, percent: number | undefined): void {
  if (percent !== undefined && (percent < 0 || percent > 100))
    errors.invalid(path, percent, 'must be between 0 and 100, inclusive');
}

function checkLimited(errors: FieldErrors, path: FieldPath, limited: JsonObject): void {
  const shares = countOf(limited, 'nominalConcurrencyShares') ?? 0;
  if (shares < 0)
    errors.invalid(path.child('nominalConcurrencyShares'), shares, 'must be a non-negative integer');
  checkPercent(errors, path.child('lendablePercent'), countOf(limited, 'lendablePercent'));
  const borrowing = countOf(limited, 'borrowingLimitPercent');
  if (borrowing !== undefined && borrowing < 0)
    errors.invalid(
      path.child('borrowingLimitPercent'),
      borrowing,
      'if specified, must be a non-negative integer',
    );
  const response = part(limited, 'limitResponse');
  const at = path.child('limitResponse');
  const type = text(response, 'type');
  const queuing = partOf(response, 'queuing');
  if (type === 'Reject') {
    if (queuing !== undefined)
      errors.forbidden(at.child('queuing'), 'must be nil if limited.limitResponse.type is not Limited');
  } else if (type === 'Queue') {
    if (queuing === undefined) {
      errors.required(at.child('queuing'), 'must not be empty if limited.limitResponse.type is Limited');
      return;
    }
    const queues = count(queuing, 'queues');
    const hand = count(queuing, 'handSize');
    if (count(queuing, 'queueLengthLimit') <= 0)
      errors.invalid(
        at.child('queuing', 'queueLengthLimit'),
        count(queuing, 'queueLengthLimit'),
        'must be positive',
      );
    if (queues <= 0) errors.invalid(at.child('queuing', 'queues'), queues, 'must be positive');
    else if (queues > QUEUES_MAX)
      errors.invalid(at.child('queuing', 'queues'), queues, `must not be greater than ${QUEUES_MAX}`);
    if (hand <= 0) errors.invalid(at.child('queuing', 'handSize'), hand, 'must be positive');
    else if (hand > queues)
      errors.invalid(at.child('queuing', 'handSize'), hand, `should not be greater than queues (${queues})`);
  } else errors.notSupported(at.child('type'), type, ['Queue', 'Reject']);
}
