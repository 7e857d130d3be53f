/** Priority classes of the system: refused by name, and gone with the collection, as in Kubernetes. */
import { expect, test } from '@jest/globals';

import { smallServer } from '../../../test/small-server.ts';
import { priorityClasses } from './priorityclasses.ts';

const CLASSES = '/apis/scheduling.k8s.io/v1/priorityclasses';

test('the deletion of a collection does not spare them', async () => {
  const small = smallServer({ resources: [priorityClasses] });
  try {
    for (const [name, value] of [
      ['system-node-critical', 2_000_001_000],
      ['mine', 7],
    ]) {
      expect((await small.ask('POST', CLASSES, { metadata: { name }, value })).code).toBe(201);
    }
    const refused = await small.ask('DELETE', `${CLASSES}/system-node-critical`);
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted',
    ]);
    expect((await small.ask('DELETE', CLASSES)).code).toBe(200);
    expect((await small.ask('GET', CLASSES)).json['items']).toEqual([]);
  } finally {
    await small.stop();
  }
});
