/**
 * The check at the end of every robustness run: all members run, have applied the same, hash the same, and
 * what they hold is what the ledger says. Reads only; nothing may write meanwhile.
 */
import type { Ledger } from './ledger.ts';
import type { ProcessCluster } from './process-cluster.ts';
import { waitUntil } from './waiting.ts';

export interface EndState {
  readonly broken: string[];
  /** For the report. */
  readonly lines: string[];
}

/** @param before the store's revision before the first put of the ledger */
export async function checkEndState(
  cluster: ProcessCluster,
  ledger: Ledger,
  prefix: string,
  before: number,
): Promise<EndState> {
  cluster.assertAllRun();
  await cluster.healthy();
  const revision = await settled(cluster);
  const broken: string[] = [];
  let unknownPresent = 0;
  for (const [i, member] of cluster.members.entries()) {
    const { kvs } = await cluster.api(i).all(prefix, revision);
    const verdict = ledger.check(kvs, before, revision);
    broken.push(...verdict.broken.map((line) => `${member.name}: ${line}`));
    unknownPresent = verdict.unknownPresent;
  }
  const hashes = await Promise.all(cluster.members.map((_, i) => cluster.api(i).hashKV(revision)));
  const texts = hashes.map((hash) => `${hash.hash.toString(16)} (compacted ${hash.compactRevision})`);
  if (new Set(texts).size !== 1) broken.push(`HashKV at revision ${revision} differs: ${texts.join(', ')}`);
  return {
    broken,
    lines: [
      `puts        ${ledger.describe()}`,
      `end         revision ${revision} from ${before}; of the unknown, ${unknownPresent} took effect`,
      `HashKV      ${texts.join(', ')}`,
      ...(broken.length === 0
        ? ['verdict     nothing lost, nothing doubled, members equal']
        : verdictLines(broken)),
    ],
  };
}

/** The revision once every member has it and it stands still. */
async function settled(cluster: ProcessCluster): Promise<number> {
  let previous = -1;
  return waitUntil('all members stand at one revision', { timeoutMs: 60_000, everyMs: 250 }, async () => {
    const revisions = await Promise.all(cluster.members.map((_, i) => cluster.api(i).revision()));
    const local = await Promise.all(
      cluster.members.map((_, i) => cluster.api(i).revision({ serializable: true })),
    );
    const [first] = revisions;
    const still = first === previous && [...revisions, ...local].every((revision) => revision === first);
    previous = first;
    return still ? first : undefined;
  });
}

function verdictLines(broken: readonly string[]): string[] {
  return [`verdict     ${broken.length} PROMISES BROKEN`, ...broken.slice(0, 20).map((line) => `  ${line}`)];
}

/** @throws Error with everything that was broken and the report's lines */
export function assertWhole(state: EndState): void {
  if (state.broken.length > 0) throw new Error(state.lines.join('\n'));
}
