/** A control plane for the tests of a file: started before the first of them, ended after the last. */
import {
  READY_TIMEOUT_MS,
  startControlPlane,
  type ControlPlane,
  type ControlPlaneOptions,
} from './control-plane.ts';

type Hook = (task: () => Promise<void>) => unknown;
type TimedHook = (task: () => Promise<void>, timeoutMs: number) => unknown;

/** What jest and vitest call beforeAll and afterAll, and node:test before and after. */
export type TestHooks =
  | { readonly beforeAll: TimedHook; readonly afterAll: TimedHook }
  | { readonly before: Hook; readonly after: Hook };

/** Beside the time a control plane may take itself, so that it is its words which are heard. */
const SLACK_MS = 15_000;

/**
 * ```ts
 * const plane = useControlPlane({ beforeAll, afterAll });
 * test('…', async () => (await plane().call('/api/v1/namespaces')).code);
 * ```
 *
 * The hooks of jest and vitest get time: their own few seconds are short for a machine that is busy with other tests. Those of
 * node:test have no end.
 *
 * @returns gives the control plane, from the first test on
 */
export function useControlPlane(hooks: TestHooks, options: ControlPlaneOptions = {}): () => ControlPlane {
  let plane: ControlPlane | undefined;
  const timeoutMs = (options.readyTimeoutMs ?? READY_TIMEOUT_MS) + SLACK_MS;
  const [before, after]: [Hook, Hook] =
    'beforeAll' in hooks
      ? [(task) => hooks.beforeAll(task, timeoutMs), (task) => hooks.afterAll(task, timeoutMs)]
      : [hooks.before, hooks.after];
  before(async () => {
    plane = await startControlPlane(options);
  });
  after(async () => {
    await plane?.stop();
  });
  return () => {
    if (plane === undefined) throw new Error('the control plane is there while tests run, not before');
    return plane;
  };
}
