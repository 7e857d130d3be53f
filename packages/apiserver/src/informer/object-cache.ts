/**
 * The objects of a resource in memory, as an informer last told them: for those who look at them in passing and can
 * live with a state that is a moment old. Keeps the objects as given.
 */

import type { KubeObject } from '../api/meta.ts';
import type { InformerHandler } from './informer.ts';

export class ObjectCache implements InformerHandler {
  private readonly namespaces = new Map<string, Map<string, KubeObject>>();
  private readonly changed: () => void;

  /** @param changed is called after each change */
  constructor(changed: () => void = () => undefined) {
    this.changed = changed;
  }

  put(object: KubeObject): void {
    const { namespace = '', name = '' } = object.metadata;
    let objects = this.namespaces.get(namespace);
    if (objects === undefined) {
      objects = new Map();
      this.namespaces.set(namespace, objects);
    }
    objects.set(name, object);
    this.changed();
  }

  remove(namespace: string, name: string): void {
    const objects = this.namespaces.get(namespace);
    objects?.delete(name);
    if (objects?.size === 0) this.namespaces.delete(namespace);
    this.changed();
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.namespaces.get(namespace)?.get(name);
  }

  /** Those of a namespace; of all, where none is named. */
  list(namespace = ''): readonly KubeObject[] {
    if (namespace !== '') return [...(this.namespaces.get(namespace)?.values() ?? [])];
    return [...this.namespaces.values()].flatMap((objects) => [...objects.values()]);
  }
}
