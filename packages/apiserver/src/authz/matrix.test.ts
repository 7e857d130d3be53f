import { describe, expect, test } from '@jest/globals';

import { Prng } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import type { AuthorizationAttributes, UserInfo } from '../api/user-info.ts';
import { resourceAttributes } from './attributes.ts';
import { missingRules } from './covers.ts';
import { RbacObjects, rulesOf, type RbacKind } from './rbac-objects.ts';
import { RbacAuthorizer } from './rbac.ts';
import { ruleAllows, type PolicyRule } from './rules.ts';

/**
 * The evaluator beside: the words of the documentation, one after the other, over plain lists of objects. It
 * shares no code with the authorizer.
 */
class Plain {
  readonly objects: KubeObject[] = [];

  allows(request: AuthorizationAttributes): boolean {
    for (const binding of this.objects) {
      if (binding.kind !== 'ClusterRoleBinding' && binding.kind !== 'RoleBinding') continue;
      const here = binding.metadata.namespace ?? '';
      if (binding.kind === 'RoleBinding' && (request.namespace === '' || here !== request.namespace))
        continue;
      const subjects = (binding.subjects ?? []) as { kind: string; name: string; namespace?: string }[];
      const mine = subjects.filter((subject) => {
        if (subject.kind === 'User') return request.user.name === subject.name;
        if (subject.kind === 'Group') return request.user.groups.some((group) => group === subject.name);
        const namespace = subject.namespace || here;
        return namespace !== '' && `system:serviceaccount:${namespace}:${subject.name}` === request.user.name;
      });
      if (mine.length === 0) continue;
      const ref = binding.roleRef as { kind: string; name: string };
      const role = this.objects.find(
        (one) =>
          one.kind === ref.kind &&
          one.metadata.name === ref.name &&
          (ref.kind === 'ClusterRole' || one.metadata.namespace === here),
      );
      for (const rule of (role?.rules ?? []) as Record<string, string[] | undefined>[]) {
        if (this.ruleSaysYes(rule, request)) return true;
      }
    }
    return false;
  }

  private ruleSaysYes(rule: Record<string, string[] | undefined>, request: AuthorizationAttributes): boolean {
    const verbs = rule.verbs ?? [];
    if (verbs.indexOf('*') === -1 && verbs.indexOf(request.verb) === -1) return false;
    if (!request.isResource) {
      return (rule.nonResourceURLs ?? []).some((url) => {
        const prefix = url.replace(/\*+$/, '');
        const pattern = `${prefix.replace(/[.*\\+?^${}()|[\]]/g, '\\$&')}${prefix === url ? '' : '.*'}`;
        return new RegExp(`^${pattern}$`, 's').test(request.path);
      });
    }
    const groups = new Set(rule.apiGroups);
    if (!groups.has('*') && !groups.has(request.group)) return false;
    const wanted = new Set(['*']);
    if (request.subresource === '') wanted.add(request.resource);
    else {
      wanted.add([request.resource, request.subresource].join('/'));
      wanted.add(['*', request.subresource].join('/'));
    }
    if (!(rule.resources ?? []).some((resource) => wanted.has(resource))) return false;
    const names = rule.resourceNames;
    return names === undefined || names.length === 0 || new Set(names).has(request.name);
  }
}

const VERBS = ['get', 'list', 'watch', 'create', 'deletecollection', 'use', 'escalate'];
const GROUPS = ['', 'apps', 'example.com'];
const RESOURCES = ['pods', 'deployments', 'nodes'];
const SUBRESOURCES = ['', 'status', 'scale', 'log'];
const NAMES = ['', 'a', 'b'];
const NAMESPACES = ['', 'red', 'blue'];
const PATHS = ['/', '/api', '/api/v1', '/healthz', '/healthz/etcd', '/metrics', '/a*b'];
const USERS: readonly UserInfo[] = [
  user('jane'),
  user('jack', 'dev'),
  user('dev'),
  user('system:serviceaccount:red:robot', 'system:serviceaccounts', 'system:serviceaccounts:red'),
  user('system:serviceaccount:blue:robot', 'system:serviceaccounts', 'system:serviceaccounts:blue'),
  user('', 'ops', 'dev'),
];

function user(name: string, ...groups: string[]): UserInfo {
  return { name, uid: '', groups, extra: {} };
}

class World {
  readonly plain = new Plain();
  readonly objects = new RbacObjects();
  private readonly prng: Prng;

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.prng.below(from.length)];
  }

  private some<T>(from: readonly T[], max: number): T[] {
    return Array.from({ length: 1 + this.prng.below(max) }, () => this.pick(from));
  }

  rule(withPaths: boolean): Record<string, string[]> {
    const verbs = this.prng.below(6) === 0 ? ['*'] : this.some(VERBS, 3);
    if (withPaths && this.prng.below(4) === 0) {
      return { verbs, nonResourceURLs: this.some([...PATHS, '*', '/api*', '/healthz/*', '/a**'], 2) };
    }
    const resources = [
      ...RESOURCES,
      'pods/log',
      'pods/status',
      'deployments/scale',
      '*',
      '*/scale',
      '*/status',
    ];
    return {
      verbs,
      apiGroups: this.prng.below(6) === 0 ? ['*'] : this.some(GROUPS, 2),
      resources: this.some(resources, 3),
      ...(this.prng.below(3) === 0 ? { resourceNames: this.some(['a', 'b', 'c'], 2) } : {}),
    };
  }

  put(object: KubeObject): void {
    this.objects.put(object);
    const { kind } = object;
    const { name, namespace } = object.metadata;
    this.forget(kind, namespace ?? '', name ?? '');
    this.plain.objects.push(object);
  }

  remove(kind: RbacKind, namespace: string, name: string): void {
    this.objects.remove(kind, namespace, name);
    this.forget(kind, namespace, name);
  }

  private forget(kind: string, namespace: string, name: string): void {
    const at = this.plain.objects.findIndex(
      (one) =>
        one.kind === kind && one.metadata.name === name && (one.metadata.namespace ?? '') === namespace,
    );
    if (at >= 0) this.plain.objects.splice(at, 1);
  }

  step(): void {
    const kind = this.pick<RbacKind>(['ClusterRole', 'Role', 'ClusterRoleBinding', 'RoleBinding']);
    const name = this.pick(['x', 'y', 'z']);
    const namespace = kind === 'Role' || kind === 'RoleBinding' ? this.pick(['red', 'blue']) : '';
    if (this.prng.below(6) === 0) {
      this.remove(kind, namespace, name);
      return;
    }
    const metadata = { name, ...(namespace === '' ? {} : { namespace }) };
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    if (kind === 'ClusterRole' || kind === 'Role') {
      const rules = Array.from({ length: 1 + this.prng.below(4) }, () => this.rule(kind === 'ClusterRole'));
      this.put({ apiVersion, kind, metadata, rules });
      return;
    }
    const subjects = Array.from({ length: this.prng.below(5) }, () =>
      this.pick([
        { kind: 'User', name: 'jane' },
        { kind: 'User', name: 'dev' },
        { kind: 'User', name: 'system:serviceaccount:blue:robot' },
        { kind: 'Group', name: 'dev' },
        { kind: 'Group', name: 'system:serviceaccounts:red' },
        { kind: 'ServiceAccount', name: 'robot' },
        { kind: 'ServiceAccount', name: 'robot', namespace: 'red' },
      ]),
    );
    const roleRef = {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: kind === 'RoleBinding' ? this.pick(['Role', 'ClusterRole']) : 'ClusterRole',
      name: this.pick(['x', 'y', 'z', 'missing']),
    };
    this.put({ apiVersion, kind, metadata, roleRef, subjects });
  }

  *requests(): Generator<AuthorizationAttributes> {
    const who = this.pick(USERS);
    for (const verb of VERBS) {
      for (const path of PATHS) {
        yield { ...resourceAttributes(who, verb, { path }), isResource: false };
      }
      for (const group of GROUPS) {
        for (const resource of RESOURCES) {
          for (const subresource of SUBRESOURCES) {
            const name = this.pick(NAMES);
            const namespace = this.pick(NAMESPACES);
            yield resourceAttributes(who, verb, { group, resource, subresource, name, namespace });
          }
        }
      }
    }
  }
}

describe('the decision is that of the evaluator beside', () => {
  test('over at least 100,000 cells, allowed and refused', () => {
    let cells = 0;
    let allowed = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const world = new World(seed);
      const rbac = new RbacAuthorizer(world.objects);
      for (let turn = 0; turn < 12; turn += 1) {
        for (let step = 0; step < 12; step += 1) world.step();
        for (const request of world.requests()) {
          const { kind } = rbac.decide(request);
          const want = world.plain.allows(request);
          if ((kind === 'allow') !== want) {
            const { user: who, ...about } = request;
            throw new Error(
              `seed ${seed} turn ${turn}: ${who.name} ${JSON.stringify(about)} is ${kind}, want ${want}`,
            );
          }
          cells += 1;
          if (want) allowed += 1;
        }
      }
    }
    expect(cells).toBeGreaterThanOrEqual(100_000);
    expect(allowed).toBeGreaterThan(cells / 50);
    expect(allowed).toBeLessThan(cells / 2);
  });
});

test('what is not missing is held: rules that are covered allow nothing that the holder may not', () => {
  const world = new World(7);
  const who = USERS[0];
  let covered = 0;
  for (let round = 0; round < 3000; round += 1) {
    const role = (rules: unknown): readonly PolicyRule[] =>
      rulesOf({ apiVersion: 'v1', kind: 'ClusterRole', metadata: {}, rules });
    const held = role([world.rule(true), world.rule(true), world.rule(true)]);
    const wanted = role([world.rule(true)]);
    if (missingRules(held, wanted).length > 0) continue;
    covered += 1;
    for (const verb of VERBS) {
      for (const resource of RESOURCES) {
        for (const subresource of SUBRESOURCES) {
          for (const name of NAMES) {
            const request = resourceAttributes(who, verb, { group: 'apps', resource, subresource, name });
            if (wanted.some((rule) => ruleAllows(rule, request))) {
              expect(held.some((rule) => ruleAllows(rule, request))).toBe(true);
            }
          }
        }
      }
    }
  }
  expect(covered).toBeGreaterThan(50);
});
