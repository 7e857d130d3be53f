/**
 * Counts the watches that run, by what they watch, so that a write knows how many are told of it. Modelled on apiserver's
 * util/flowcontrol watch tracker.
 */

import type { RequestInfo } from '../api/request-info.ts';

export class WatchTracker {
  private readonly counts = new Map<string, number>();

  /** @returns ends it; calling that again does nothing */
  add(info: RequestInfo): () => void {
    const key = keyOf(info, info.namespace, info.name);
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    let running = true;
    return () => {
      if (!running) return;
      running = false;
      const left = (this.counts.get(key) ?? 1) - 1;
      if (left === 0) this.counts.delete(key);
      else this.counts.set(key, left);
    };
  }

  /** Watches that see a change of this object: of all, of its namespace, of its name. */
  interested(info: RequestInfo): number {
    const { namespace, name } = info;
    const keys = new Set([
      keyOf(info, '', ''),
      keyOf(info, namespace, ''),
      keyOf(info, '', name),
      keyOf(info, namespace, name),
    ]);
    let sum = 0;
    for (const key of keys) sum += this.counts.get(key) ?? 0;
    return sum;
  }
}

function keyOf({ group, resource }: RequestInfo, namespace: string, name: string): string {
  return `${group}/${resource}/${namespace}/${name}`;
}
