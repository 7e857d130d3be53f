/**
 * The checker's own test at any size, and its speed: `node packages/sim/test/checker/main.ts self 10000 [SEED]` or
 * `… speed 100000`. Exit code 1 when it is wrong.
 */
import { checkHistory } from '../../src/checker/check-history.ts';
import { verdictText } from '../../src/checker/verdict.ts';
import { goodHistory } from './good-history.ts';
import { agreement, mutations } from './self-test.ts';

const [what = 'self', count = '10000', seed = '1'] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

let beganMs = performance.now();
if (what === 'speed') {
  const history = goodHistory({
    seed: Number(seed),
    operations: Number(count),
    clients: 16,
    keys: 200,
    unknownPercent: 1,
    watches: 4,
  });
  say(`made in ${seconds(beganMs)}`);
  beganMs = performance.now();
  const before = process.cpuUsage();
  const verdict = checkHistory(history);
  const { user, system } = process.cpuUsage(before);
  say(verdictText(verdict, 3));
  say(
    `checked in ${seconds(beganMs)}, ${((user + system) / 1e6).toFixed(1)} s of CPU, ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB resident, the making included`,
  );
  if (verdict.kind !== 'ok') process.exitCode = 1;
} else {
  const agreed = agreement(Number(seed), Number(count));
  say(
    `${agreed.histories} small histories, ${agreed.legal} of them legal: ${agreed.wrong.length} disagreements with brute force (${seconds(beganMs)})`,
  );
  beganMs = performance.now();
  const lied = mutations(Number(seed), Number(count));
  const laws = [...lied.byKind].map(([law, times]) => `${law} ${times}`).join(', ');
  say(
    `${lied.mutations} lies, ${lied.equivalent} proven to be none: ${lied.missed.length} missed; found by ${laws} (${seconds(beganMs)})`,
  );
  for (const text of [...agreed.wrong, ...lied.missed].slice(0, 5)) say(text);
  if (agreed.wrong.length + lied.missed.length > 0) process.exitCode = 1;
}
