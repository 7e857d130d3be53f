/** A control plane for the tests of a file: started before the first of them, ended after the last. */
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';

type Hook = (task: () => Promise<void>) => unknown;

/** What jest and vitest call beforeAll and afterAll, and node:test before and after. */
export type TestHooks =
  { readonly beforeAll: Hook; readonly afterAll: Hook } | { readonly before: Hook; readonly after: Hook };

/**
 * ```ts
 * const plane = useControlPlane({ beforeAll, afterAll });
 * test('…', async () => (await plane().call('/api/v1/namespaces')).code);
 * ```
 *
 * @returns gives the control plane, from the first test on
 */
export function useControlPlane(hooks: TestHooks, options: ControlPlaneOptions = {}): () => ControlPlane {
  let plane: ControlPlane | undefined;
  const [before, after] =
    'beforeAll' in hooks ? [hooks.beforeAll, hooks.afterAll] : [hooks.before, hooks.after];
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
