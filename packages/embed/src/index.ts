export { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
export type { KubeConfig } from './kube-config.ts';
