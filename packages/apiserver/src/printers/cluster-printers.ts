/**
 * What runs the cluster, as tables: who may do what, admission, fairness, certificates, leases, devices, APIs.
 *
 * Modelled on kubernetes' pkg/printers/internalversion; APIServices on kube-aggregator's registry.
 */

import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { count, countOf, flag, items, part, partOf, parts, text, textOf } from '../validation/value.ts';
import { humanDuration } from './ages.ts';
import { goLabelSelector, nameOf, NONE, objectAge, orElse, UNSET } from './cells.ts';
import { AGE_COLUMN, column, counted, NAME_COLUMN, wide, type TablePrinter } from './printer.ts';

/** Of role bindings and cluster role bindings. */
export const roleBindingPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Role', 'The role that is given.'),
    AGE_COLUMN,
    wide('Users', 'Users who have it.'),
    wide('Groups', 'Groups who have it.'),
    wide('ServiceAccounts', 'Service accounts who have it.'),
  ],
  cells(object, nowMs) {
    const role = part(object, 'roleRef');
    const names = (kind: string): string =>
      parts(object, 'subjects')
        .filter((each) => text(each, 'kind') === kind)
        .map((each) =>
          kind === 'ServiceAccount' ? `${text(each, 'namespace')}/${text(each, 'name')}` : text(each, 'name'),
        )
        .join(', ');
    return [
      nameOf(object),
      `${text(role, 'kind')}/${text(role, 'name')}`,
      objectAge(object, nowMs),
      names('User'),
      names('Group'),
      names('ServiceAccount'),
    ];
  },
};

export const certificateSigningRequestPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    AGE_COLUMN,
    column('SignerName', 'Who is asked to sign.'),
    column('Requestor', 'Who asks.'),
    column('RequestedDuration', 'For how long the certificate should hold.'),
    column('Condition', 'What became of the request.'),
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const seconds = countOf(spec, 'expirationSeconds');
    return [
      nameOf(object),
      objectAge(object, nowMs),
      orElse(text(spec, 'signerName'), NONE),
      text(spec, 'username'),
      seconds === undefined ? NONE : humanDuration(seconds * 1000),
      requestCondition(object),
    ];
  },
};

function requestCondition(object: KubeObject): string {
  const status = part(object, 'status');
  const types = new Set(parts(status, 'conditions').map((each) => text(each, 'type')));
  const words = [types.has('Denied') ? 'Denied' : types.has('Approved') ? 'Approved' : 'Pending'];
  if (types.has('Failed')) words.push('Failed');
  if (text(status, 'certificate') !== '') words.push('Issued');
  return words.join(',');
}

export const leasePrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Holder', 'Who has the lease.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    text(part(object, 'spec'), 'holderIdentity'),
    objectAge(object, nowMs),
  ],
};

export const priorityClassPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    counted('Value', 'The higher, the more important.'),
    column('Global-Default', 'Whether pods that name no class get this one.', { type: 'boolean' }),
    AGE_COLUMN,
    column('PreemptionPolicy', 'Whether less important pods are made to leave for these.'),
  ],
  cells: (object, nowMs) => [
    nameOf(object),
    count(object, 'value'),
    flag(object, 'globalDefault'),
    objectAge(object, nowMs),
    text(object, 'preemptionPolicy'),
  ],
};

export const runtimeClassPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Handler', 'What runs containers of the class.'), AGE_COLUMN],
  cells: (object, nowMs) => [nameOf(object), text(object, 'handler'), objectAge(object, nowMs)],
};

/** Of both kinds of webhooks. */
export const webhookPrinter: TablePrinter = {
  columns: [NAME_COLUMN, counted('Webhooks', 'How many webhooks are asked.'), AGE_COLUMN],
  cells: (object, nowMs) => [nameOf(object), items(object, 'webhooks').length, objectAge(object, nowMs)],
};

const PARAM_KIND = column('ParamKind', 'Kind of the objects it takes settings from.');

function paramKindCell(object: KubeObject): string {
  const kind = partOf(part(object, 'spec'), 'paramKind');
  return kind === undefined ? UNSET : `${text(kind, 'apiVersion')}/${text(kind, 'kind')}`;
}

export const validatingAdmissionPolicyPrinter: TablePrinter = {
  columns: [NAME_COLUMN, counted('Validations', 'How many checks it makes.'), PARAM_KIND, AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    items(part(object, 'spec'), 'validations').length,
    paramKindCell(object),
    objectAge(object, nowMs),
  ],
};

export const mutatingAdmissionPolicyPrinter: TablePrinter = {
  columns: [NAME_COLUMN, counted('Mutations', 'How many changes it makes.'), PARAM_KIND, AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    items(part(object, 'spec'), 'mutations').length,
    paramKindCell(object),
    objectAge(object, nowMs),
  ],
};

/** Of bindings of both kinds of policies. */
export const admissionPolicyBindingPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('PolicyName', 'The policy that is bound.'),
    column('ParamRef', 'The object it takes settings from.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [nameOf(object), text(spec, 'policyName'), paramRefCell(spec), objectAge(object, nowMs)];
  },
};

function paramRefCell(spec: Parameters<typeof partOf>[0]): string {
  const reference = partOf(spec, 'paramRef');
  if (reference === undefined) return UNSET;
  const name = text(reference, 'name');
  // Whether the kind has namespaces is not known here, so none is any.
  if (name !== '') return `${orElse(text(reference, 'namespace'), '*')}/${name}`;
  const selector = partOf(reference, 'selector');
  return selector === undefined ? UNSET : goLabelSelector(selector);
}

export const flowSchemaPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('PriorityLevel', 'The level its requests go to.'),
    column('MatchingPrecedence', 'The lower, the sooner it is tried.'),
    column('DistinguisherMethod', 'What tells flows apart.'),
    AGE_COLUMN,
    column('MissingPL', 'Whether the level it names does not exist.'),
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const method = partOf(spec, 'distinguisherMethod');
    const dangling = parts(part(object, 'status'), 'conditions').find(
      (each) => text(each, 'type') === 'Dangling',
    );
    return [
      nameOf(object),
      text(part(spec, 'priorityLevelConfiguration'), 'name'),
      count(spec, 'matchingPrecedence'),
      method === undefined ? NONE : text(method, 'type'),
      objectAge(object, nowMs),
      dangling === undefined ? '?' : text(dangling, 'status'),
    ];
  },
  /** In the order they are tried in. */
  together: (objects) => ({
    objects: objects
      .map((object) => ({
        object,
        precedence: count(part(object, 'spec'), 'matchingPrecedence'),
        name: nameOf(object),
      }))
      .sort((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : 1))
      .map(({ object }) => object),
    cells: (object, nowMs) => flowSchemaPrinter.cells(object, nowMs),
  }),
};

export const priorityLevelPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Type', 'Whether its requests are limited.'),
    column('NominalConcurrencyShares', 'Its share of the requests that run at once.'),
    column('Queues', 'How many queues its requests wait in.'),
    column('HandSize', 'How many queues a flow chooses from.'),
    column('QueueLengthLimit', 'How many requests wait in a queue.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const limited = partOf(spec, 'limited');
    const queuing = limited === undefined ? undefined : partOf(part(limited, 'limitResponse'), 'queuing');
    const number = (of: typeof limited, name: string): Json => (of === undefined ? NONE : count(of, name));
    return [
      nameOf(object),
      text(spec, 'type'),
      number(limited, 'nominalConcurrencyShares'),
      number(queuing, 'queues'),
      number(queuing, 'handSize'),
      number(queuing, 'queueLengthLimit'),
      objectAge(object, nowMs),
    ];
  },
};

/** Of kinds that show that they are there, and since when. */
export const agePrinter: TablePrinter = {
  columns: [NAME_COLUMN, AGE_COLUMN],
  cells: (object, nowMs) => [nameOf(object), objectAge(object, nowMs)],
};

export const resourceClaimPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('State', 'Whether it has devices, and whether they are in use.'), AGE_COLUMN],
  cells(object, nowMs) {
    const status = part(object, 'status');
    const deleted = (object.metadata.deletionTimestamp ?? undefined) !== undefined;
    const words = deleted ? ['deleted'] : [];
    if (partOf(status, 'allocation') === undefined) {
      if (!deleted) words.push('pending');
    } else {
      words.push('allocated');
      if (items(status, 'reservedFor').length > 0) words.push('reserved');
    }
    return [nameOf(object), words.join(','), objectAge(object, nowMs)];
  },
};

export const resourceSlicePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Node', 'The node that has the devices.'),
    column('Driver', 'The driver that lists them.'),
    column('Pool', 'The pool they are in.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      text(spec, 'nodeName'),
      text(spec, 'driver'),
      text(part(spec, 'pool'), 'name'),
      objectAge(object, nowMs),
    ];
  },
};

export const apiServicePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Service', 'The service that answers for it, or Local for this server.'),
    column('Available', 'Whether it answers.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const service = partOf(part(object, 'spec'), 'service');
    const condition = parts(part(object, 'status'), 'conditions').find(
      (each) => text(each, 'type') === 'Available',
    );
    let available = 'Unknown';
    if (condition !== undefined) {
      const reason = textOf(condition, 'reason') ?? '';
      available = text(condition, 'status');
      if (available !== 'True' && reason !== '') available = `${available} (${reason})`;
    }
    return [
      nameOf(object),
      service === undefined ? 'Local' : `${text(service, 'namespace')}/${text(service, 'name')}`,
      available,
      objectAge(object, nowMs),
    ];
  },
};
