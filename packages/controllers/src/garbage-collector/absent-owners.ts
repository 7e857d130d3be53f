/**
 * Owners that turned out not to exist, the latest few hundred: an owner with a thousand dependents is asked for once.
 * A uid is never used again, so what is absent stays so.
 */

import type { Identity } from './graph.ts';

/** As the original's cache. */
const KEPT_MAX = 500;

export class AbsentOwners {
  /** In the order of use, the oldest first. */
  private readonly keys = new Set<string>();

  add(identity: Identity): void {
    const key = keyOf(identity);
    this.keys.delete(key);
    this.keys.add(key);
    if (this.keys.size <= KEPT_MAX) return;
    const [oldest] = this.keys;
    this.keys.delete(oldest);
  }

  has(identity: Identity): boolean {
    const key = keyOf(identity);
    if (!this.keys.delete(key)) return false;
    this.keys.add(key);
    return true;
  }
}

function keyOf({ apiVersion, kind, namespace, name, uid }: Identity): string {
  return JSON.stringify([apiVersion, kind, namespace, name, uid]);
}
