export { useControlPlane, type TestHooks } from './test-hooks.ts';
export { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
export {
  AdmissionDenied,
  type AdmissionFunction,
  type AdmissionOperation,
  type AdmissionRequest,
} from '@keelson/apiserver';
export type { KubeConfig } from './kube-config.ts';
