/**
 * Generated scripts against a real etcd and ours, every answer compared:
 *
 *   node tests/conformance/generated/main.ts [--scripts N] [--from SEED] [--members 1|3] [--jwt]
 *
 * Prints counts per RPC and outcome. A difference is printed with its seed; `--from SEED --scripts 1` repeats
 * the script alone. Needs a build and Debian's etcd.
 */
import { main } from '../../harness/script.ts';
import { startSides } from '../sides.ts';
import { compareScripts } from './campaign.ts';

/** After a difference the two sides may hold other data: what follows would say little. */
const STOP_AFTER = 1;

if (import.meta.main) {
  await main(
    'generated scripts',
    { values: ['scripts', 'from', 'members'], switches: [] },
    async (args, say) => {
      const scripts = args.number('scripts', 5_000);
      const sides = await startSides(['--bcrypt-cost=4', ...args.flags], args.number('members', 1));
      try {
        const result = await compareScripts(
          sides,
          { from: args.number('from', 1), scripts, differencesMax: STOP_AFTER },
          say,
        );
        if (result.differences.length > 0)
          throw new Error(
            result.differences
              .map(({ seed, kind, step, lines }) => `seed ${seed} (${kind}) ${step}\n  ${lines.join('\n  ')}`)
              .join('\n'),
          );
        return result.report;
      } finally {
        await Promise.all(sides.map(({ cluster }) => cluster.dispose()));
      }
    },
  );
}
