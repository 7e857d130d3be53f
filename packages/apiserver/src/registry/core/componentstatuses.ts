/**
 * ComponentStatus: how what the server stands on fares, asked anew by each request; nothing is kept. Of the original's
 * three kinds of components only the stores are listed: a scheduler or controllers on the same host are none of a
 * server's business that may live in another process.
 */

import { notFound } from '../../api/status.ts';
import type { KubeObject } from '../../api/meta.ts';
import { componentStatusPrinter } from '../../printers/core-printers.ts';
import type { ResourceDefinition } from '../resource.ts';

/** @returns when all is well; throws what is wrong */
export type ComponentCheck = () => Promise<void>;

/** @param components by name: `etcd-0` */
export function componentStatuses(components: ReadonlyMap<string, ComponentCheck>): ResourceDefinition {
  return {
    group: '',
    resource: 'componentstatuses',
    singular: 'componentstatus',
    kind: 'ComponentStatus',
    shortNames: ['cs'],
    categories: [],
    scope: 'Cluster',
    versions: [
      {
        version: 'v1',
        typeName: 'core.v1.ComponentStatus',
        printer: componentStatusPrinter,
        deprecationWarning: 'v1 ComponentStatus is deprecated in v1.19+',
      },
    ],
    verbs: ['get', 'list'],
    backing: {
      kind: 'virtual',
      async get(name) {
        const check = components.get(name);
        // The original's word for them here is the singular.
        if (check === undefined) throw notFound({ group: '', resource: 'componentstatus' }, name);
        return await statusOf(name, check);
      },
      list: async () => await Promise.all([...components].map(([name, check]) => statusOf(name, check))),
    },
    strategy: { validate: () => [], validateUpdate: () => [] },
    subresources: [],
  };
}

async function statusOf(name: string, check: ComponentCheck): Promise<KubeObject> {
  let condition;
  try {
    await check();
    condition = { type: 'Healthy', status: 'True', message: 'ok' };
  } catch (error) {
    condition = {
      type: 'Healthy',
      status: 'False',
      error: error instanceof Error ? error.message : String(error),
    };
  }
  return { kind: 'ComponentStatus', apiVersion: 'v1', metadata: { name }, conditions: [condition] };
}
