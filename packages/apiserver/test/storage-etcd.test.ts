/** The storage contract on the etcd that is installed. */

import { test } from '@jest/globals';

import { ETCD_VERSION } from '../../base/test/etcd-process.ts';
import { Etcd } from '../../client/test/etcd.ts';
import { versionsReportProgress } from '../src/storage/etcd-features.ts';
import { overClient } from './contract/etcd-backend.ts';
import { storageContract } from './contract/storage-contract.ts';

if (ETCD_VERSION === undefined) {
  test.skip('storage contract: etcd (needs an installed etcd)', () => undefined);
} else {
  const version = ETCD_VERSION;
  storageContract(`etcd ${version}`, async () => {
    const etcd = await Etcd.start();
    return overClient(etcd.client(), versionsReportProgress([version]), () => etcd.stop());
  });
}
