export { ControllerNameError, type ControllerName } from './controller-names.ts';
export {
  checkControllers,
  CONTROLLER_NAMES,
  startControllers,
  type ControllersOptions,
  type RunningControllers,
} from './start-controllers.ts';
export type { GarbageCollectorOptions } from './garbage-collector/garbage-collector.ts';
export type { NamespaceOptions } from './namespace/namespace-controller.ts';
export type { QuotaAccounts } from './quota/resource-quotas.ts';
