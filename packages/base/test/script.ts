/**
 * The command line of a script that is started by hand. Its help is what its file says of itself at the top; a flag that it does
 * not know, or a number that is none, ends it with code 2 before it has done anything.
 */
import { readFileSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * @param file the script's own, `import.meta.filename`
 * @returns the flags' values
 */
export function scriptFlags<const T extends Options>(
  file: string,
  options: T,
  args: readonly string[] = process.argv.slice(2),
): ReturnType<typeof parseArgs<{ options: T }>>['values'] {
  if (args.includes('--help')) {
    process.stdout.write(`${openingOf(readFileSync(file, 'utf8'))}\n`);
    process.exit(0);
  }
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse(error.message);
  }
}

/** A flag's number, not below 0. */
export function numberOf(flag: string, text: string): number {
  const value = Number(text);
  return text !== '' && value >= 0 ? value : refuse(`--${flag}: ${text} is no number`);
}

/** Ends the script. */
export function refuse(message: string): never {
  process.stderr.write(`${message}\nTry --help.\n`);
  process.exit(2);
}

/** The text of a file's first comment, without its stars. */
export function openingOf(text: string): string {
  const comment = /\/\*\*([^]*?)\*\//.exec(text)?.[1] ?? '';
  return comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim();
}
