/** Which of several classes is the default: of those that are marked the newest, and of two as new the first by name. */

import type { KubeObject } from '../api/meta.ts';

export function newestMarked(
  classes: readonly KubeObject[],
  marks: readonly string[],
): KubeObject | undefined {
  return classes
    .filter(({ metadata }) => marks.some((mark) => metadata.annotations?.[mark] === 'true'))
    .toSorted((a, b) => {
      const [left, right] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
      if (left !== right) return left > right ? -1 : 1;
      return (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1;
    })[0];
}
