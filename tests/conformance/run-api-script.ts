/** Runs a script of API calls against one member of each side, step by step in lockstep, and compares. */
import type { ApiStep, Scene } from './api-call.ts';
import type { KnownDifference } from './known-differences.ts';
import { Renderer } from './render.ts';
import { compareLines, type Comparison, type Difference } from './run-ctl-script.ts';
import type { Side } from './sides.ts';

/** As compareSides, for API calls. */
export async function compareApis(
  sides: readonly [Side, Side],
  member: number,
  script: readonly ApiStep[],
  known: readonly KnownDifference[],
): Promise<Comparison> {
  const runners = sides.map((side) => new ApiRunner(side, member));
  const differences: Difference[] = [];
  const used = new Set<KnownDifference>();
  for (const step of script) {
    const [want, got] = await Promise.all(runners.map((runner) => runner.run(step)));
    const lines = compareLines(step.name, want, got, known, used);
    if (lines.length > 0) differences.push({ step: step.name, lines });
  }
  return { steps: script.length, differences, used };
}

/** One member of one side, and what a script has noted on it. */
export class ApiRunner {
  private readonly side: Side;
  private readonly scene: Scene;
  private readonly renderer: Renderer;
  private readonly revisions = new Map<string, number>();
  private revision = 0;

  constructor(side: Side, member: number) {
    this.side = side;
    this.renderer = new Renderer(side.identity);
    this.scene = {
      api: side.cluster.api(side.identity.members[member].index),
      p: `${String.fromCodePoint(0x61 + member)}/`,
      rev: (offset = 0) => this.revision + offset,
      noted: (name, offset = 0) => {
        const revision = this.revisions.get(name);
        if (revision === undefined) throw new Error(`nothing is noted as ${name}`);
        return revision + offset;
      },
      lease: (n) => BigInt(1000 * (member + 1) + 10 * n),
    };
  }

  async run(step: ApiStep): Promise<string[]> {
    const lines = await this.answer(step);
    try {
      this.revision = await this.scene.api.revision();
    } catch (error) {
      throw new Error(
        `${this.side.name} no longer answers after "${step.name}"\n${this.side.cluster.logTails()}`,
        {
          cause: error,
        },
      );
    }
    if (step.noteRevision !== undefined) this.revisions.set(step.noteRevision, this.revision);
    return [...lines, `-- revision ${this.revision}`];
  }

  private async answer(step: ApiStep): Promise<string[]> {
    try {
      return this.renderer.message(await step.call(this.scene));
    } catch (error) {
      return this.renderer.error(error);
    }
  }
}
