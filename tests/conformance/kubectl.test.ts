/**
 * The newest stock kubectl against our API server and its loops over a store of ours, all in this process: what people
 * type works, and reads as it does with Kubernetes.
 */
import { startEmbedded } from './kubectl-targets.ts';
import { kubectlSuite } from './kubectl-suite.ts';

kubectlSuite({ name: 'our store', missing: undefined, start: startEmbedded }, 'newest');
