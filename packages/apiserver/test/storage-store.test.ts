/** The storage contract on our own store, a member in this process. */

import { MemberCluster } from '../../store/test/members.ts';
import { overClient } from './contract/etcd-backend.ts';
import { storageContract } from './contract/storage-contract.ts';

storageContract('our store', async () => {
  const cluster = await MemberCluster.start({ members: 1 });
  return overClient(cluster.client(), true, () => cluster.stop());
});
