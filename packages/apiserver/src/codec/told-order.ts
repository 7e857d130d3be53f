/** The order in which what is said of fields is told: that of the text, which the walk of a type does not keep. */

import { isJsonObject, type Json } from '../api/json.ts';

/** Paths in the order in which a value first says them; those it does not say come last. */
export function inOrder(paths: readonly string[], value: Json): readonly string[] {
  if (paths.length < 2) return paths;
  const wanted = new Set(paths);
  const ordered: string[] = [];
  const walk = (node: Json, at: string): void => {
    if (Array.isArray(node)) {
      for (let index = 0; index < node.length; index += 1) walk(node[index], `${at}[${index}]`);
    } else if (isJsonObject(node)) {
      for (const name of Object.keys(node)) {
        const path = at === '' ? name : `${at}.${name}`;
        if (wanted.delete(path)) ordered.push(path);
        walk(node[name], path);
      }
    }
  };
  walk(value, '');
  return [...ordered, ...wanted];
}
