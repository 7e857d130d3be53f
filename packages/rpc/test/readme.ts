/** Runs the `ts` blocks of a README and collects what they print beside what their comments promise. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SnippetRun {
  /** Lines given to console.log. */
  readonly printed: readonly string[];
  /** Lines after "// prints: ". */
  readonly promised: readonly string[];
}

/** @param adapt last changes to the code, such as a port */
export async function runSnippets(readme: URL, adapt: (code: string) => string): Promise<SnippetRun[]> {
  const source = await readFile(readme, 'utf8');
  const folder = await mkdtemp(join(tmpdir(), 'keelson-readme-'));
  const runs: SnippetRun[] = [];
  try {
    for (const [index, match] of [...source.matchAll(/^```ts\n(.*?)^```$/gms)].entries()) {
      const code = match[1] ?? '';
      const printed: string[] = [];
      const file = join(folder, `snippet-${index}.ts`);
      // The snippet's console is ours: lines are collected instead of printed.
      const run = `export default async function (console: { log(...items: unknown[]): void }) {\n`;
      const imports = [...code.matchAll(/^import [^;]*;$/gm)].map((line) => line[0]).join('\n');
      const body = adapt(code.replaceAll(/^import [^;]*;$/gm, ''));
      await writeFile(file, `${imports}\n${run}${body}\n}\n`);
      const snippet: unknown = await import(file);
      if (!isSnippet(snippet)) throw new Error('a snippet is a module with one function');
      await snippet.default({ log: (...items) => printed.push(items.map(String).join(' ')) });
      runs.push({
        printed,
        promised: [...code.matchAll(/\/\/ prints: (.*)$/gm)].map((line) => line[1] ?? ''),
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return runs;
}

interface Snippet {
  default(console: { log(...items: unknown[]): void }): Promise<void>;
}

function isSnippet(value: unknown): value is Snippet {
  return (
    typeof value === 'object' && value !== null && 'default' in value && typeof value.default === 'function'
  );
}
