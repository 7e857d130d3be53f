/**
 * Policies that somebody bound, with their bindings, in the order of their names. A policy is compiled when it is first
 * needed, once for each generation of its object; one that is not bound is never.
 *
 * Modelled on apiserver's admission/plugin/policy/generic policy source, which looks once a second; here a change counts
 * as soon as it is told.
 */

import type { KubeObject } from '../../api/meta.ts';
import { bindingOf, type Binding } from './policy.ts';
import type { PolicyCache } from './policy-objects.ts';

/** A policy and those that bound it. */
export interface Hook<Compiled> {
  readonly policy: Compiled;
  readonly bindings: readonly Binding[];
}

interface Known<Compiled> {
  readonly uid: string;
  readonly generation: number;
  readonly compiled: Compiled;
}

export class PolicySource<Compiled> {
  private readonly cache: PolicyCache;
  private readonly compile: (policy: KubeObject) => Compiled;
  private known = new Map<string, Known<Compiled>>();
  private current: readonly Hook<Compiled>[] = [];
  private version = -1;

  constructor(cache: PolicyCache, compile: (policy: KubeObject) => Compiled) {
    this.cache = cache;
    this.compile = compile;
  }

  hooks(): readonly Hook<Compiled>[] {
    const { version } = this.cache;
    if (version !== this.version) {
      this.current = this.gather();
      this.version = version;
    }
    return this.current;
  }

  private gather(): Hook<Compiled>[] {
    const { policies, bindings } = this.cache;
    const byPolicy = new Map<string, Binding[]>();
    for (const object of bindings.list()) {
      const binding = bindingOf(object);
      const others = byPolicy.get(binding.policy);
      if (others === undefined) byPolicy.set(binding.policy, [binding]);
      else others.push(binding);
    }
    const known = new Map<string, Known<Compiled>>();
    const hooks: Hook<Compiled>[] = [];
    for (const name of [...byPolicy.keys()].toSorted()) {
      const object = policies.get('', name);
      if (object === undefined) continue;
      const entry = this.compiledOf(name, object);
      known.set(name, entry);
      const bound = byPolicy.get(name) ?? [];
      hooks.push({ policy: entry.compiled, bindings: bound.toSorted((a, b) => (a.name < b.name ? -1 : 1)) });
    }
    this.known = known;
    return hooks;
  }

  private compiledOf(name: string, object: KubeObject): Known<Compiled> {
    const { uid = '', generation = 0 } = object.metadata;
    const known = this.known.get(name);
    if (known?.uid === uid && known.generation === generation) return known;
    return { uid, generation, compiled: this.compile(object) };
  }
}
