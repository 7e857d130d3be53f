export { useControlPlane, type TestHooks } from './test-hooks.ts';
export { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
export type { KubeConfig } from './kube-config.ts';
