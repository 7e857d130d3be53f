/**
 * What is wrong with a validating policy's expressions for the kinds that its rules name: checked against their schemas,
 * which a running policy does not know. For its status; a policy works whatever comes of it.
 *
 * Modelled on the type checker of apiserver's admission/plugin/policy/validating, texts included. Members are known under
 * their own names beside the escaped ones, since a running policy finds them so.
 */

import type { GroupVersionKind, GroupVersionResource, KubeObject } from '../../api/meta.ts';
import type { Declaration } from '../../cel/declarations.ts';
import { BaseEnvironment, CURRENT_VERSION } from '../../cel/environment.ts';
import { PolicyCompiler, VARIABLE } from '../../cel/policy-expressions.ts';
import { part, partOf, parts, text, texts } from '../../validation/value.ts';
import type { JsonObject } from '../../api/json.ts';
import { paramKindOf } from './policy.ts';

export interface PolicyTypes {
  /** The kind a resource has; undefined where nobody serves it. */
  kindOf(resource: GroupVersionResource): GroupVersionKind | undefined;
  /** Undefined where nobody knows it. */
  declaration(kind: GroupVersionKind): Declaration | undefined;
}

export interface ExpressionWarning {
  readonly fieldRef: string;
  readonly warning: string;
}

/** As many kinds are looked at. */
const KINDS_MAX = 10;

export function policyWarnings(policy: KubeObject, types: PolicyTypes): ExpressionWarning[] {
  const spec = part(policy, 'spec');
  const checkers = checkersOf(spec, types);
  const warnings: ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string): void => {
    const lines = checkers.flatMap(({ kind, compiler }) => {
      const { error } = compiler.compile(expression, VARIABLE);
      const issues = error?.replace(/^compilation failed: /, '');
      return issues === undefined ? [] : [`${shown(kind)}: ${issues}\n`];
    });
    if (lines.length > 0) warnings.push({ fieldRef, warning: lines.join('\n') });
  };
  for (const [index, validation] of parts(spec, 'validations').entries()) {
    check(`spec.validations[${index}].expression`, text(validation, 'expression'));
    const message = text(validation, 'messageExpression');
    if (message !== '') check(`spec.validations[${index}].messageExpression`, message);
  }
  return warnings;
}

interface Checker {
  readonly kind: GroupVersionKind;
  readonly compiler: PolicyCompiler;
}

function checkersOf(spec: JsonObject, types: PolicyTypes): Checker[] {
  const paramKind = partOf(spec, 'paramKind');
  const params = paramKind && types.declaration(paramKindOf(paramKind));
  const base = new BaseEnvironment(CURRENT_VERSION);
  return kindsOf(spec, types).flatMap((kind) => {
    const object = types.declaration(kind);
    if (object === undefined) return [];
    const compiler = new PolicyCompiler(base, {
      params: paramKind !== undefined,
      composed: true,
      types: { object, ...(params === undefined ? {} : { params }) },
    });
    for (const variable of parts(spec, 'variables'))
      compiler.variable(text(variable, 'name'), text(variable, 'expression'));
    return [{ kind, compiler }];
  });
}

/** The kinds that rules name, sorted; a rule with a `*` names none. */
function kindsOf(spec: JsonObject, types: PolicyTypes): GroupVersionKind[] {
  const found = new Map<string, GroupVersionKind>();
  for (const rule of parts(part(spec, 'matchConstraints'), 'resourceRules')) {
    const groups = texts(rule, 'apiGroups').toSorted();
    const versions = texts(rule, 'apiVersions').toSorted();
    if ([...groups, ...versions].some((each) => each.includes('*'))) continue;
    const resources = texts(rule, 'resources').filter((each) => !/[*/]/.test(each));
    for (const group of groups) {
      for (const version of versions) {
        for (const resource of resources.toSorted()) {
          const kind = types.kindOf({ group, version, resource });
          if (kind !== undefined) found.set(shown(kind), kind);
          if (found.size === KINDS_MAX) return sorted(found);
        }
      }
    }
  }
  return sorted(found);
}

function sorted(kinds: ReadonlyMap<string, GroupVersionKind>): GroupVersionKind[] {
  const key = ({ group, version, kind }: GroupVersionKind): string => `${group}\n${version}\n${kind}`;
  return [...kinds.values()].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function shown({ group, version, kind }: GroupVersionKind): string {
  return `${group}/${version}, Kind=${kind}`;
}
