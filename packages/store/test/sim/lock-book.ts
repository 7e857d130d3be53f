/** That two clients never have one lock, and never lead one election: by what clients were told and members applied. */
import { law } from '@keelson/sim';

/** Below each name. */
const RECIPE_KEY = /^k[lm]\d\//;

/** Who has what, as clients were told; what is gone, as members applied it. */
export class LockBook {
  private readonly held = new Map<string, string>();
  /** How often each key was deleted. */
  private readonly deletions = new Map<string, number>();

  /** A member was first to apply the deletion of a key. */
  deleted(key: string): void {
    if (!RECIPE_KEY.test(key)) return;
    this.deletions.set(key, this.deletedTimes(key) + 1);
    const name = key.slice(0, key.indexOf('/'));
    if (this.held.get(name) === key) this.held.delete(name);
  }

  deletedTimes(key: string): number {
    return this.deletions.get(key) ?? 0;
  }

  /** A client was told that its key is the one. @throws LawBroken */
  took(name: string, key: string): void {
    const other = this.held.get(name);
    law('K1', other === undefined || other === key, () => `${name} is ${other}'s and was given to ${key}`);
    this.held.set(name, key);
  }
}
