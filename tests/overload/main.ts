/**
 * A member under more than it can do, scenario by scenario, each on a member of its own:
 *   node tests/overload/main.ts [--only NAME[,NAME]] [--percent 10] [--members N] [--server PATH|reference] [--markdown]
 * Prints each one's figures, and exits with 1 when a bound of memory was passed, the leader changed, or somebody else was refused.
 */
import { main } from '../harness/script.ts';
import { perform, type Result } from './stage.ts';
import { scenarios } from './scenarios.ts';

function line({ name, seconds, rssMb, beside, figures, broken }: Result): string {
  const f = (value: number): string => value.toFixed(0);
  const own = Object.entries(figures).map(([what, value]) => `${what}: ${value}`);
  return [
    `${name}: ${seconds.toFixed(1)} s; RSS ${f(rssMb.before)} → ${f(rssMb.peak)} → ${f(rssMb.after)} MB (bound ${rssMb.max})`,
    `  beside: ${beside.calls} calls, ${beside.putOff} put off, median ${beside.median.toFixed(1)}, p99 ${f(beside.p99)}, max ${f(beside.max)} ms`,
    ...own.map((text) => `  ${text}`),
    ...broken.map((text) => `  BROKEN: ${text}`),
  ].join('\n');
}

function row({ name, seconds, rssMb, beside, figures, broken }: Result): string {
  const own = Object.entries(figures).map(([what, value]) => `${what}: ${value}`);
  const cells = [
    name,
    seconds.toFixed(0),
    `${rssMb.before.toFixed(0)} / ${rssMb.peak.toFixed(0)} / ${rssMb.after.toFixed(0)}`,
    String(rssMb.max),
    `${beside.median.toFixed(1)} / ${beside.p99.toFixed(0)} / ${beside.max.toFixed(0)} (${beside.calls}, ${beside.putOff} put off)`,
    own.join('; '),
    broken.length === 0 ? 'holds' : broken.join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}

await main(
  'overload',
  { values: ['only', 'percent', 'members'], switches: ['markdown'] },
  async (args, say) => {
    const only = args.text('only')?.split(',');
    const chosen = scenarios.filter(({ name }) => only === undefined || only.includes(name));
    if (chosen.length === 0) throw new Error(`there are ${scenarios.map(({ name }) => name).join(', ')}`);
    const results: Result[] = [];
    for (const scenario of chosen) {
      say(`${scenario.name}: ${scenario.attack}`);
      const stage = { binary: args.binary, members: args.number('members', 1), flags: args.flags };
      const result = await perform(scenario, stage, args.number('percent', 100) / 100);
      results.push(result);
      say(args.has('markdown') ? row(result) : line(result));
    }
    if (results.some(({ broken }) => broken.length > 0)) throw new Error('something did not hold');
    return [`scenarios   ${results.length}, all within their bounds`];
  },
);
