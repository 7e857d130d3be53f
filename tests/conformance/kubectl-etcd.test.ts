/** The oldest stock kubectl against our API server as a process with --etcd-servers pointing to a real etcd. */
import { REFERENCE_ETCD } from '../harness/binaries.ts';
import { apiserverMissing, startApiserverOnEtcd } from './kubectl-targets.ts';
import { kubectlSuite } from './kubectl-suite.ts';

const missing = REFERENCE_ETCD === undefined ? 'etcd is not installed' : apiserverMissing();

kubectlSuite({ name: 'a real etcd', missing, start: startApiserverOnEtcd }, 'oldest');
