/**
 * Does this suite find bugs? Debian's etcd 3.4.23 has some that are known, with the numbers of their issues; each scenario
 * here leads a server to one of them, and the same checks that judge our rounds must say which law it breaks. Against
 * Keelson the same scenarios must be clean. Results are in docs/calibration.md.
 *
 *   node tests/robustness/calibrate.ts [--target etcd|keelson] [--tries N] [--only NAME,…] [--loopback]
 */
import { numberOf, scriptFlags } from '../../packages/base/test/script.ts';
import { KEELSON_ETCD, REFERENCE_ETCD } from '../harness/binaries.ts';
import { Namespaces, namespacesMissing } from '../harness/namespaces.ts';
import { Relays } from '../harness/relays.ts';
import { straceMissing } from '../harness/syscalls.ts';
import { removeLeft } from './blackbox.ts';
import { perform, type Scenario } from './scenarios/stage.ts';
import {
  LEASE_TELLS_KEYS,
  OLD_LEADER_REVOKES,
  REVISION_DECREASES,
  TXN_TELLS_VALUES,
} from './scenarios/storage.ts';
import {
  FORGOTTEN_WATCHER,
  LOST_DELETE,
  PROGRESS_OVERTAKES,
  WATCH_OVER_SNAPSHOT,
} from './scenarios/watch.ts';

/** Those that take a few seconds and one member come first. */
export const SCENARIOS: readonly Scenario[] = [
  PROGRESS_OVERTAKES,
  LOST_DELETE,
  FORGOTTEN_WATCHER,
  REVISION_DECREASES,
  LEASE_TELLS_KEYS,
  TXN_TELLS_VALUES,
  WATCH_OVER_SNAPSHOT,
  OLD_LEADER_REVOKES,
];

export async function playOnce(
  scenario: Scenario,
  target: { readonly name: 'keelson' | 'etcd'; readonly binary: string },
  loopback: boolean,
): Promise<{ readonly broken: readonly string[]; readonly ms: number }> {
  const network = loopback ? await Relays.open(scenario.members) : new Namespaces(scenario.members);
  process.once('exit', () => network.dispose());
  try {
    return await perform(scenario, target, network);
  } finally {
    network.dispose();
  }
}

async function run(): Promise<void> {
  const values = scriptFlags(import.meta.filename, {
    target: { type: 'string', default: 'etcd' },
    tries: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    loopback: { type: 'boolean', default: false },
  });
  const tries = numberOf('tries', values.tries);
  removeLeft();
  const name = values.target === 'keelson' ? 'keelson' : 'etcd';
  const target = { name, binary: name === 'keelson' ? KEELSON_ETCD : (REFERENCE_ETCD ?? 'etcd') } as const;
  const loopback = values.loopback || namespacesMissing() !== undefined;
  const only = values.only.split(',').filter((word) => word !== '');
  const rows: string[] = [];
  for (const scenario of SCENARIOS) {
    if (only.length > 0 && !only.includes(scenario.name)) continue;
    if (scenario === OLD_LEADER_REVOKES && straceMissing() !== undefined) continue;
    let caught = 0;
    const laws = new Set<string>();
    for (let i = 0; i < tries; i++) {
      try {
        const { broken, ms } = await playOnce(scenario, target, loopback);
        if (broken.length > 0) caught++;
        for (const line of broken) laws.add(/^[A-Z]\d+/.exec(line)?.[0] ?? 'other');
        process.stdout.write(
          `${scenario.name} (${scenario.issue}), try ${i + 1}, ${(ms / 1000).toFixed(1)} s: ${broken.length === 0 ? 'clean' : `${broken.length} broken`}\n`,
        );
        for (const line of broken.slice(0, 4)) process.stdout.write(`    ${line.split('\n')[0]}\n`);
      } catch (error) {
        process.stdout.write(`${scenario.name}, try ${i + 1}: not played: ${String(error)}\n`);
        process.exitCode = 2;
      }
    }
    rows.push(
      `| ${scenario.name} | ${scenario.issue} | ${[...laws].join(', ') || 'none'} | ${caught} of ${values.tries} |`,
    );
  }
  process.stdout.write(`\n${target.name}:\n${rows.join('\n')}\n`);
}

if (import.meta.main) await run();
