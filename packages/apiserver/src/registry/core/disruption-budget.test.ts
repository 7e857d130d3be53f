import { describe, expect, test } from '@jest/globals';

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError } from '../../api/status.ts';
import { spent } from './disruption-budget.ts';

const TIME = '2026-01-01T00:00:00Z';

function budget(status: JsonObject, generation = 1): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'b', generation },
    status: { observedGeneration: 1, ...status },
  };
}

function refused(given: KubeObject): unknown {
  try {
    return spent(given, 'p', TIME);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, message, details } = error.status;
    return [code, message, details?.causes?.[0]?.message, details?.retryAfterSeconds];
  }
}

const NO = "Cannot evict pod as it would violate the pod's disruption budget.";

describe('an eviction', () => {
  test.each<[string, KubeObject, unknown]>([
    [
      'waits for the controller',
      budget({ disruptionsAllowed: 1 }, 2),
      [429, NO, 'The disruption budget b is still being processed by the server.', 10],
    ],
    [
      'wants healthy pods',
      budget({ disruptionsAllowed: 0, desiredHealthy: 2, currentHealthy: 1 }),
      [429, NO, 'The disruption budget b needs 2 healthy pods and has 1 currently', undefined],
    ],
    [
      'is told what failed',
      budget({
        disruptionsAllowed: 0,
        desiredHealthy: 0,
        currentHealthy: 1,
        conditions: [{ type: 'DisruptionAllowed', status: 'False', reason: 'SyncFailed', message: 'why' }],
      }),
      [
        429,
        NO,
        'The disruption budget b does not allow evicting pods currently because it failed sync: why',
        undefined,
      ],
    ],
    [
      'is told no more where no more is known',
      budget({ disruptionsAllowed: 0, desiredHealthy: 0, currentHealthy: 1 }),
      [429, NO, 'The disruption budget b does not allow evicting pods currently', undefined],
    ],
    [
      'counts with what can be counted with',
      budget({ disruptionsAllowed: -1 }),
      [
        403,
        'poddisruptionbudget.policy "b" is forbidden: pdb disruptions allowed is negative',
        undefined,
        undefined,
      ],
    ],
  ])('%s', (_name, given, want) => {
    expect(refused(given)).toEqual(want);
  });

  test('is refused while too many are not counted', () => {
    const disruptedPods = Object.fromEntries(
      Array.from({ length: 2001 }, (_each, index) => [`p${index}`, TIME]),
    );
    expect(refused(budget({ disruptionsAllowed: 1, disruptedPods }))).toEqual([
      403,
      'poddisruptionbudget.policy "b" is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller',
      undefined,
      undefined,
    ]);
  });

  test('takes one, and the last one says that there is none', () => {
    const first = spent(budget({ disruptionsAllowed: 2 }), 'p', TIME);
    expect(first['status']).toEqual({
      observedGeneration: 1,
      disruptionsAllowed: 1,
      disruptedPods: { p: TIME },
    });
    expect(spent(first, 'q', TIME)['status']).toEqual({
      observedGeneration: 1,
      disruptionsAllowed: 0,
      disruptedPods: { p: TIME, q: TIME },
      conditions: [
        {
          type: 'DisruptionAllowed',
          status: 'False',
          observedGeneration: 1,
          lastTransitionTime: TIME,
          reason: 'InsufficientPods',
          message: '',
        },
      ],
    });
  });
});
