/**
 * The roles and bindings as they are now, kept by subject, so that a decision looks at the bindings that name
 * the user or one of his groups and at no other. Fed by four watches (or lists); keeps the objects as given and
 * never changes them. An object of another shape than its kind's is taken for what it says: absent lists are empty.
 */

import { fieldsOf, listOf, textOf, textsOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { serviceAccountUser, type UserInfo } from '../api/user-info.ts';
import type { PolicyRule } from './rules.ts';

export const RBAC_GROUP = 'rbac.authorization.k8s.io';

export type RbacKind = 'ClusterRole' | 'Role' | 'ClusterRoleBinding' | 'RoleBinding';

/** Who a binding is for. The namespace of a ServiceAccount defaults to that of its RoleBinding. */
export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface RoleRef {
  readonly apiGroup: string;
  readonly kind: string;
  readonly name: string;
}

/** A binding and the one of its subjects that the user is. */
export interface Bound {
  readonly kind: 'ClusterRoleBinding' | 'RoleBinding';
  readonly name: string;
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly roleRef: RoleRef;
  readonly subject: Subject;
}

/** What the authorizer asks; RbacObjects answers from memory, tests from lists. */
export interface RbacSource {
  /** Rules of a ClusterRole; undefined when there is none of this name. */
  clusterRoleRules(name: string): readonly PolicyRule[] | undefined;
  roleRules(namespace: string, name: string): readonly PolicyRule[] | undefined;
  /** Bindings for the whole cluster that apply to the user, each once, with the first subject that matches. */
  clusterBindings(user: UserInfo): Iterable<Bound>;
  bindings(namespace: string, user: UserInfo): Iterable<Bound>;
}

/** Rules of a role object. */
export function rulesOf(role: KubeObject): readonly PolicyRule[] {
  return listOf(role.rules).map((rule) => ruleOf(rule));
}

function ruleOf(value: unknown): PolicyRule {
  const rule = fieldsOf(value);
  return {
    verbs: textsOf(rule.verbs),
    apiGroups: textsOf(rule.apiGroups),
    resources: textsOf(rule.resources),
    resourceNames: textsOf(rule.resourceNames),
    nonResourceURLs: textsOf(rule.nonResourceURLs),
  };
}

/** Subjects of a binding object. */
export function subjectsOf(binding: KubeObject): Subject[] {
  return listOf(binding.subjects).map((value) => {
    const subject = fieldsOf(value);
    return {
      kind: textOf(subject.kind),
      apiGroup: textOf(subject.apiGroup),
      name: textOf(subject.name),
      namespace: textOf(subject.namespace),
    };
  });
}

/** The role a binding object refers to. */
export function roleRefOf(binding: KubeObject): RoleRef {
  const ref = fieldsOf(binding.roleRef);
  return { apiGroup: textOf(ref.apiGroup), kind: textOf(ref.kind), name: textOf(ref.name) };
}

/** The key a subject is filed under; undefined for one that can be nobody. */
function subjectKey(subject: Subject, namespace: string): string | undefined {
  switch (subject.kind) {
    case 'User':
      return `u:${subject.name}`;
    case 'Group':
      return `g:${subject.name}`;
    case 'ServiceAccount': {
      const of = subject.namespace === undefined || subject.namespace === '' ? namespace : subject.namespace;
      return of === '' ? undefined : `u:${serviceAccountUser(of, subject.name)}`;
    }
    default:
      return undefined;
  }
}

/** The bindings of one namespace, or of the cluster, by what their subjects are filed under. */
class BindingIndex {
  private readonly byName = new Map<string, readonly [string, Bound][]>();
  private readonly bySubject = new Map<string, Map<string, Bound>>();

  get size(): number {
    return this.byName.size;
  }

  put(name: string, bound: readonly [string, Bound][]): void {
    this.remove(name);
    this.byName.set(name, bound);
    for (const [key, one] of bound) {
      let bindings = this.bySubject.get(key);
      if (bindings === undefined) {
        bindings = new Map();
        this.bySubject.set(key, bindings);
      }
      if (!bindings.has(name)) bindings.set(name, one);
    }
  }

  remove(name: string): void {
    const known = this.byName.get(name);
    if (known === undefined) return;
    this.byName.delete(name);
    for (const [key] of known) {
      const bindings = this.bySubject.get(key);
      bindings?.delete(name);
      if (bindings?.size === 0) this.bySubject.delete(key);
    }
  }

  *of(user: UserInfo): Generator<Bound> {
    const seen = new Set<string>();
    const keys = [`u:${user.name}`, ...user.groups.map((group) => `g:${group}`)];
    for (const key of keys) {
      for (const [name, bound] of this.bySubject.get(key) ?? []) {
        if (seen.has(name)) continue;
        seen.add(name);
        yield bound;
      }
    }
  }
}

export class RbacObjects implements RbacSource {
  private readonly clusterRoles = new Map<string, readonly PolicyRule[]>();
  private readonly roles = new Map<string, readonly PolicyRule[]>();
  private readonly cluster = new BindingIndex();
  private readonly namespaces = new Map<string, BindingIndex>();

  /** Takes an object that was added or changed. Objects of other kinds are not for here. */
  put(object: KubeObject): void {
    const name = object.metadata.name ?? '';
    const namespace = object.metadata.namespace ?? '';
    switch (object.kind) {
      case 'ClusterRole':
        this.clusterRoles.set(name, rulesOf(object));
        break;
      case 'Role':
        this.roles.set(`${namespace}/${name}`, rulesOf(object));
        break;
      case 'ClusterRoleBinding':
        this.cluster.put(name, boundOf('ClusterRoleBinding', object, name, ''));
        break;
      case 'RoleBinding': {
        let index = this.namespaces.get(namespace);
        if (index === undefined) {
          index = new BindingIndex();
          this.namespaces.set(namespace, index);
        }
        index.put(name, boundOf('RoleBinding', object, name, namespace));
        break;
      }
    }
  }

  /** Forgets an object that was deleted. */
  remove(kind: RbacKind, namespace: string, name: string): void {
    switch (kind) {
      case 'ClusterRole':
        this.clusterRoles.delete(name);
        break;
      case 'Role':
        this.roles.delete(`${namespace}/${name}`);
        break;
      case 'ClusterRoleBinding':
        this.cluster.remove(name);
        break;
      case 'RoleBinding': {
        const index = this.namespaces.get(namespace);
        index?.remove(name);
        if (index?.size === 0) this.namespaces.delete(namespace);
        break;
      }
    }
  }

  clusterRoleRules(name: string): readonly PolicyRule[] | undefined {
    return this.clusterRoles.get(name);
  }

  roleRules(namespace: string, name: string): readonly PolicyRule[] | undefined {
    return this.roles.get(`${namespace}/${name}`);
  }

  clusterBindings(user: UserInfo): Iterable<Bound> {
    return this.cluster.of(user);
  }

  bindings(namespace: string, user: UserInfo): Iterable<Bound> {
    return this.namespaces.get(namespace)?.of(user) ?? [];
  }
}

function boundOf(
  kind: Bound['kind'],
  object: KubeObject,
  name: string,
  namespace: string,
): [string, Bound][] {
  const roleRef = roleRefOf(object);
  const found: [string, Bound][] = [];
  for (const subject of subjectsOf(object)) {
    const key = subjectKey(subject, namespace);
    if (key !== undefined) found.push([key, { kind, name, namespace, roleRef, subject }]);
  }
  return found;
}
