/**
 * Which requests last as long as their client wants: they have no deadline and take no place among those that are
 * counted. The original's BasicLongRunningRequestCheck.
 */

import type { RequestInfo } from '../api/request-info.ts';

const VERBS: ReadonlySet<string> = new Set(['watch', 'proxy']);
const SUBRESOURCES: ReadonlySet<string> = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

export function isLongRunning(info: RequestInfo): boolean {
  if (VERBS.has(info.verb)) return true;
  if (info.isResource) return SUBRESOURCES.has(info.subresource);
  return info.path.startsWith('/debug/pprof/');
}
