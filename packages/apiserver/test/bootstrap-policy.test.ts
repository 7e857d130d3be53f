/** The default roles against the table of what kubernetes makes, role by role and rule by rule. */

import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { KubeObject } from '../src/api/meta.ts';
import { bootstrapPolicy } from '../src/authz/bootstrap-policy.ts';
import { parts, part, text, texts } from '../src/validation/value.ts';

const TABLE = new URL('testdata/access/bootstrap-policy.txt', import.meta.url);

/** What the table says of one object: its heading and its lines, spaces taken for one. */
function table(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of readFileSync(TABLE, 'utf8').split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue;
    if (line.startsWith(' ')) lines.push(line.trim());
    else {
      lines = [];
      expect(found.has(line)).toBe(false);
      found.set(line, lines);
    }
  }
  return found;
}

function nameOf({ metadata }: KubeObject): string {
  const { namespace = '', name = '' } = metadata;
  return namespace === '' ? name : `${namespace}/${name}`;
}

function aggregateOf(key: string | undefined): string {
  return key?.split('/aggregate-to-')[1] ?? '';
}

function roleHeading(word: string, role: KubeObject): string {
  const into = aggregateOf(
    Object.keys(role.metadata.labels ?? {}).find((key) => key.includes('/aggregate-to-')),
  );
  const selector = parts(part(role, 'aggregationRule'), 'clusterRoleSelectors')[0] ?? {};
  const gathers = aggregateOf(Object.keys(part(selector, 'matchLabels'))[0]);
  return `${word} ${nameOf(role)}${into === '' ? '' : ` into ${into}`}${gathers === '' ? '' : ` gathers ${gathers}`}`;
}

function roleLines(role: KubeObject): string[] {
  return parts(role, 'rules').map((rule) => {
    const list = (name: string): string =>
      texts(rule, name)
        .map((one) => (one === '' ? 'core' : one))
        .join(' ');
    if (texts(rule, 'nonResourceURLs').length > 0) return `${list('verbs')} @ ${list('nonResourceURLs')}`;
    const names = list('resourceNames');
    return `${list('verbs')} : ${list('apiGroups')} : ${list('resources')}${names === '' ? '' : ` : ${names}`}`;
  });
}

function bindingLines(binding: KubeObject): string[] {
  return parts(binding, 'subjects').map((subject) =>
    text(subject, 'kind') === 'ServiceAccount'
      ? `account ${text(subject, 'namespace')}/${text(subject, 'name')}`
      : `${text(subject, 'kind').toLowerCase()} ${text(subject, 'name')}`,
  );
}

describe('the default policy', () => {
  const policy = bootstrapPolicy();
  const rows: [string, string[]][] = [
    ...policy.clusterRoles.map((role): [string, string[]] => [
      roleHeading('clusterrole', role),
      roleLines(role),
    ]),
    ...policy.roles.map((role): [string, string[]] => [roleHeading('role', role), roleLines(role)]),
    ...policy.clusterRoleBindings.map((one): [string, string[]] => [
      `clusterrolebinding ${nameOf(one)} ${text(part(one, 'roleRef'), 'name')}`,
      bindingLines(one),
    ]),
    ...policy.roleBindings.map((one): [string, string[]] => [
      `rolebinding ${nameOf(one)} ${text(part(one, 'roleRef'), 'name')}`,
      bindingLines(one),
    ]),
  ];

  test('has the objects of the table and no others', () => {
    expect(rows.map(([heading]) => heading).toSorted()).toEqual([...table().keys()].toSorted());
  });

  test.each(rows)('%s', (heading, lines) => {
    expect(lines).toEqual(table().get(heading));
  });

  test('all are marked as the server’s own', () => {
    for (const object of Object.values(policy).flat()) {
      expect(object.metadata.labels).toMatchObject({ 'kubernetes.io/bootstrapping': 'rbac-defaults' });
      expect(object.metadata.annotations).toEqual({ 'rbac.authorization.kubernetes.io/autoupdate': 'true' });
    }
  });
});
