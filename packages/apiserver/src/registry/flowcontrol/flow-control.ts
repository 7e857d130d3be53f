/** FlowSchema and PriorityLevelConfiguration: whose requests wait for whose. */

import { goValue } from '../../validation/go-values.ts';
import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { count, countOf, flag, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import type { KubeObject } from '../../api/meta.ts';
import { defineKind, SPEC, STATUS, OTHERS_METADATA } from '../kinds/kind.ts';

const GROUP = { group: 'flowcontrol.apiserver.k8s.io', types: 'flowcontrol', scope: 'Cluster' } as const;
const QUEUES_MAX = 10_000_000;
/** A hand is dealt of so many bits of a hash. */
const HASH_BITS_MAX = 60;
const VERBS: readonly string[] = [
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
        const shown = goValue('flowcontrol.FlowDistinguisherMethod', method);
        errors.notSupported(SPEC.child('distinguisherMethod', 'type'), shown, ['ByNamespace', 'ByUser']);
      }
      const level = text(part(spec, 'priorityLevelConfiguration'), 'name');
      if (level === '')
        errors.required(SPEC.child('priorityLevelConfiguration', 'name'), 'must reference a priority level');
      else
        errors.invalids(SPEC.child('priorityLevelConfiguration', 'name'), level, dnsSubdomainErrors(level));
      for (const [index, rule] of parts(spec, 'rules').entries())
        checkRule(errors, SPEC.child('rules').index(index), rule);
    },
    status: { keepsMetadata: OTHERS_METADATA, check: checkTypes },
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
    if (field === undefined) {
      errors.notSupported(at.child('kind'), kind, ['Group', 'ServiceAccount', 'User']);
      continue;
    }
    if (!has(subject, field))
      errors.required(at.child(field), `${field} is required when subject kind is '${kind}'`);
    else {
      const given = part(subject, field);
      const name = text(given, 'name');
      if (name === '') errors.required(at.child(field, 'name'));
      else if (field === 'serviceAccount' && name !== '*')
        errors.invalids(at.child(field, 'name'), name, dnsSubdomainErrors(name));
      const namespace = text(given, 'namespace');
      if (field === 'serviceAccount' && namespace === '')
        errors.required(at.child(field, 'namespace'), 'must specify namespace for service account');
      else if (field === 'serviceAccount')
        errors.invalids(at.child(field, 'namespace'), namespace, dnsLabelErrors(namespace));
    }
    for (const [other, owner] of [
      ['serviceAccount', 'ServiceAccount'],
      ['user', 'User'],
      ['group', 'Group'],
    ] as const) {
      if (other !== field && has(subject, other))
        errors.forbidden(at.child(other), `${other} is forbidden when subject kind is not '${owner}'`);
    }
  }
  if (parts(rule, 'resourceRules').length === 0 && parts(rule, 'nonResourceRules').length === 0) {
    errors.required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty');
  }
  for (const [index, each] of parts(rule, 'resourceRules').entries())
    checkResourceRule(errors, path.child('resourceRules').index(index), each);
  for (const [index, each] of parts(rule, 'nonResourceRules').entries())
    checkPathRule(errors, path.child('nonResourceRules').index(index), each);
}

/** A list that says at least one thing, or that it means everything. */
function checkList(
  errors: FieldErrors,
  path: FieldPath,
  values: readonly string[],
  needed: string,
  others: string,
): void {
  if (values.length === 0) errors.required(path, needed);
  else if (values.length > 1 && values.includes('*'))
    errors.invalid(path, values, `if '*' is present, must not specify other ${others}`);
}

function checkVerbs(errors: FieldErrors, path: FieldPath, verbs: readonly string[]): void {
  checkList(errors, path, verbs, 'verbs must contain at least one value', 'verbs');
  if (!verbs.includes('*') && verbs.some((verb) => !VERBS.includes(verb)))
    errors.notSupported(path, verbs, VERBS);
}

function checkResourceRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  checkVerbs(errors, path.child('verbs'), texts(rule, 'verbs'));
  for (const [name, one, many] of [
    ['apiGroups', 'api group', 'api groups'],
    ['resources', 'resource', 'resources'],
  ] as const) {
    checkList(
      errors,
      path.child(name),
      texts(rule, name),
      `resource rules must supply at least one ${one}`,
      many,
    );
  }
  const namespaces = texts(rule, 'namespaces');
  const at = path.child('namespaces');
  if (namespaces.length === 0 && flag(rule, 'clusterScope')) return;
  checkList(
    errors,
    at,
    namespaces,
    'resource rules that are not cluster scoped must supply at least one namespace',
    'namespaces',
  );
  if (namespaces.includes('*')) return;
  for (const [index, namespace] of namespaces.entries()) {
    for (const wrong of dnsLabelErrors(namespace))
      errors.invalid(
        at.index(index),
        namespace,
        `each member of this list must be '*' or a DNS-1123 label; ${wrong}`,
      );
  }
}

function checkPathRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  checkVerbs(errors, path.child('verbs'), texts(rule, 'verbs'));
  const urls = texts(rule, 'nonResourceURLs');
  const at = path.child('nonResourceURLs');
  checkList(errors, at, urls, 'nonResourceURLs must contain at least one value', 'non-resource URLs');
  if (urls.includes('*')) return;
  for (const [index, url] of urls.entries()) {
    const wrong = urlError(url);
    if (wrong !== undefined) errors.invalid(at.index(index), url, wrong);
  }
}

function urlError(url: string): string | undefined {
  if (url === '') return 'must not be empty';
  if (url === '/') return undefined;
  if (!url.startsWith('/')) return 'must start with slash';
  if (url.includes(' ')) return 'must not contain white-space';
  if (url.includes('//')) return 'must not contain double slash';
  const stars = url.split('*').length - 1;
  return stars > 1 || (stars === 1 && !url.endsWith('/*'))
    ? 'wildcard can only do suffix matching'
    : undefined;
}

/** Each type once, and not empty. */
function checkTypes(errors: FieldErrors, object: KubeObject): void {
  const seen = new Set<string>();
  for (const [index, condition] of parts(part(object, 'status'), 'conditions').entries()) {
    const at = STATUS.child('conditions').index(index).child('type');
    const type = text(condition, 'type');
    if (seen.has(type)) errors.duplicate(at, type);
    seen.add(type);
    if (type === '') errors.required(at);
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
        errors.invalid(SPEC.child('type'), type, "must be 'Exempt' if and only if `name` is 'exempt'");
      }
      if (type === 'Exempt') {
        if (has(spec, 'limited'))
          errors.forbidden(SPEC.child('limited'), 'must be nil if the type is not Limited');
        checkShares(errors, SPEC.child('exempt'), part(spec, 'exempt'));
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
    },
    status: { keepsMetadata: OTHERS_METADATA, check: checkTypes },
  },
});

function checkShares(errors: FieldErrors, path: FieldPath, given: JsonObject): void {
  const shares = countOf(given, 'nominalConcurrencyShares') ?? 0;
  if (shares < 0)
    errors.invalid(path.child('nominalConcurrencyShares'), shares, 'must be a non-negative integer');
}

function checkPercent(errors: FieldErrors, path: FieldPath, percent: number | undefined): void {
  if (percent !== undefined && (percent < 0 || percent > 100))
    errors.invalid(path, percent, 'must be between 0 and 100, inclusive');
}

function checkLimited(errors: FieldErrors, path: FieldPath, limited: JsonObject): void {
  checkShares(errors, path, limited);
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
    else if (Math.ceil(Math.log2(queues) * hand) > HASH_BITS_MAX) {
      errors.invalid(
        at.child('queuing', 'handSize'),
        hand,
        `required entropy bits of deckSize ${queues} and handSize ${hand} should not be greater than ${HASH_BITS_MAX}`,
      );
    }
  } else errors.notSupported(at.child('type'), type, ['Queue', 'Reject']);
}
