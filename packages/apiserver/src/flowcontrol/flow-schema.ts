/**
 * FlowSchemas and PriorityLevelConfigurations as they are worked by: what a schema matches, which flow a request is
 * of, and a level's numbers with their defaults. Reads objects that were validated when they were written.
 *
 * Modelled on apiserver's util/flowcontrol/rule.go.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import type { RequestInfo } from '../api/request-info.ts';
import { serviceAccountUser, type UserInfo } from '../api/user-info.ts';
import { countOf, flag, part, parts, text, texts } from '../validation/value.ts';

export interface FlowSchema {
  readonly name: string;
  readonly uid: string;
  readonly level: string;
  readonly precedence: number;
  readonly distinguisher: '' | 'ByUser' | 'ByNamespace';
  readonly rules: readonly JsonObject[];
}

export interface PriorityLevel {
  readonly name: string;
  readonly uid: string;
  readonly exempt: boolean;
  readonly shares: number;
  readonly lendablePercent: number;
  /** Undefined: without bound. */
  readonly borrowingLimitPercent: number | undefined;
  /** Undefined: what finds no seat is refused. */
  readonly queuing: Queuing | undefined;
}

export interface Queuing {
  readonly queues: number;
  readonly handSize: number;
  readonly queueLengthMax: number;
}

/** What is asked, by whom. */
export interface Digest {
  readonly info: RequestInfo;
  readonly user: UserInfo;
}

const SHARES = 30;
const QUEUING: Queuing = { queues: 64, handSize: 8, queueLengthMax: 50 };
const PRECEDENCE = 1_000;

export function flowSchemaOf(object: KubeObject): FlowSchema {
  const spec = part(object, 'spec');
  const method = text(part(spec, 'distinguisherMethod'), 'type');
  return {
    name: object.metadata.name ?? '',
    uid: object.metadata.uid ?? '',
    level: text(part(spec, 'priorityLevelConfiguration'), 'name'),
    precedence: countOf(spec, 'matchingPrecedence') ?? PRECEDENCE,
    distinguisher: method === 'ByUser' || method === 'ByNamespace' ? method : '',
    rules: parts(spec, 'rules'),
  };
}

export function priorityLevelOf(object: KubeObject): PriorityLevel {
  const spec = part(object, 'spec');
  const exempt = text(spec, 'type') === 'Exempt';
  const numbers = part(spec, exempt ? 'exempt' : 'limited');
  const response = part(numbers, 'limitResponse');
  const queuing = part(response, 'queuing');
  return {
    name: object.metadata.name ?? '',
    uid: object.metadata.uid ?? '',
    exempt,
    shares: countOf(numbers, 'nominalConcurrencyShares') ?? (exempt ? 0 : SHARES),
    lendablePercent: countOf(numbers, 'lendablePercent') ?? 0,
    borrowingLimitPercent: countOf(numbers, 'borrowingLimitPercent'),
    queuing:
      text(response, 'type') === 'Queue'
        ? {
            queues: countOf(queuing, 'queues') ?? QUEUING.queues,
            handSize: countOf(queuing, 'handSize') ?? QUEUING.handSize,
            queueLengthMax: countOf(queuing, 'queueLengthLimit') ?? QUEUING.queueLengthMax,
          }
        : undefined,
  };
}

/** In the order they are asked: by precedence, then by name. */
export function inOrder(schemas: Iterable<FlowSchema>): FlowSchema[] {
  return [...schemas].toSorted((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : 1));
}

export function matchesSchema({ rules }: FlowSchema, digest: Digest): boolean {
  return rules.some(
    (rule) =>
      parts(rule, 'subjects').some((subject) => matchesSubject(subject, digest.user)) &&
      (digest.info.isResource
        ? parts(rule, 'resourceRules').some((each) => matchesResource(each, digest.info))
        : parts(rule, 'nonResourceRules').some((each) => matchesPath(each, digest.info))),
  );
}

/** What tells a request's flow from others of its schema. */
export function distinguisherOf({ distinguisher }: FlowSchema, { info, user }: Digest): string {
  if (distinguisher === 'ByUser') return user.name;
  return distinguisher === 'ByNamespace' ? info.namespace : '';
}

function matchesSubject(subject: JsonObject, user: UserInfo): boolean {
  switch (text(subject, 'kind')) {
    case 'User': {
      const name = text(part(subject, 'user'), 'name');
      return name === '*' || name === user.name;
    }
    case 'Group': {
      const name = text(part(subject, 'group'), 'name');
      return name === '*' || user.groups.includes(name);
    }
    case 'ServiceAccount': {
      const account = part(subject, 'serviceAccount');
      const name = text(account, 'name');
      const namespace = text(account, 'namespace');
      // Any account of the namespace.
      return name === '*'
        ? user.name.startsWith(serviceAccountUser(namespace, ''))
        : user.name === serviceAccountUser(namespace, name);
    }
    default:
      return false;
  }
}

function matchesResource(rule: JsonObject, info: RequestInfo): boolean {
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  if (!has(rule, 'verbs', info.verb) || !has(rule, 'apiGroups', info.group)) return false;
  if (!has(rule, 'resources', resource)) return false;
  return info.namespace === '' ? flag(rule, 'clusterScope') : has(rule, 'namespaces', info.namespace);
}

function matchesPath(rule: JsonObject, { verb, path }: RequestInfo): boolean {
  if (!has(rule, 'verbs', verb)) return false;
  return texts(rule, 'nonResourceURLs').some(
    (url) => url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1))),
  );
}

function has(rule: JsonObject, name: string, value: string): boolean {
  const values = texts(rule, name);
  return values.includes('*') || values.includes(value);
}
