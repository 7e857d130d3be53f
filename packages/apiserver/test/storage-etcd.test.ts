/** The storage contract on the etcd that is installed. */

import { test } from '@jest/globals';

import { Etcd, etcdVersion } from '../../client/test/etcd.ts';
import { versionsReportProgress } from '../src/storage/etcd-features.ts';
import { overClient } from './contract/etcd-backend.ts';
import { storageContract } from './contract/storage-contract.ts';

if (etcdVersion === undefined) {
  test.skip('storage contract: etcd (needs an installed etcd)', () => undefined);
} else {
  const version = etcdVersion;
  storageContract(`etcd ${version}`, async () => {
    const etcd = await Etcd.start();
    return overClient(etcd.client(), versionsReportProgress([version]), () => etcd.stop());
  });
}
