/** All tables of texts. */

import { CLUSTER_PROSE } from './cluster.ts';
import { CORE_PROSE } from './core.ts';
import { META_PROSE } from './meta.ts';
import { PODS_PROSE } from './pods.ts';
import { WORKLOADS_PROSE } from './workloads.ts';

export const PROSE: readonly string[] = [META_PROSE, PODS_PROSE, CORE_PROSE, WORKLOADS_PROSE, CLUSTER_PROSE];
