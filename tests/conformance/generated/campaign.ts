/** Many generated scripts one after another on one pair of clusters. */
import type { Say } from '../../harness/script.ts';
import type { Side } from '../sides.ts';
import { generate } from './generator.ts';
import { outcomeTable, ScriptRunner, textCounts, type ScriptDifference } from './runner.ts';

/** In the full budget every text is to be met so often. */
const RARE = 20;

export interface CampaignOptions {
  /** The first seed. */
  readonly from: number;
  readonly scripts: number;
  /** After so many the rest is left. */
  readonly differencesMax: number;
}

export interface CampaignResult {
  readonly differences: readonly ScriptDifference[];
  readonly steps: number;
  /** How often each text was answered; 'OK' among them. */
  readonly texts: ReadonlyMap<string, number>;
  readonly report: string[];
}

export async function compareScripts(
  sides: readonly [Side, Side],
  { from, scripts, differencesMax }: CampaignOptions,
  say: Say,
): Promise<CampaignResult> {
  const runner = new ScriptRunner(sides);
  const differences: ScriptDifference[] = [];
  for (let i = 0; i < scripts && differences.length < differencesMax; i++) {
    const difference = await runner.run(generate(from + i));
    if (difference !== undefined) {
      differences.push(difference);
      say(
        `seed ${difference.seed} (${difference.kind}) ${difference.step}\n  ${difference.lines.join('\n  ')}`,
      );
    }
    if ((i + 1) % 250 === 0)
      say(`${i + 1} scripts, ${runner.steps} steps, ${differences.length} differences`);
  }
  const texts = textCounts(runner.outcomes);
  const rare = [...texts].filter(([, count]) => count < RARE).map(([text, count]) => `${text} (${count})`);
  const report = [
    `${scripts} scripts from seed ${from}, ${runner.steps} steps, ${differences.length} differences`,
    ...outcomeTable(runner.outcomes),
    `texts seen fewer than ${RARE} times: ${rare.join('; ') || 'none'}`,
    `known differences needed: ${[...runner.used].join('; ') || 'none'}`,
  ];
  return { differences, steps: runner.steps, texts, report };
}
