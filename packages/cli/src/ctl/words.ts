/** A line as a shell would split it, by etcdctl's rules: for the lines of txn and of an interactive watch. */
import { GoTextError, unquote } from '../go-text.ts';
import { CtlError, ExitCode } from './ctl-error.ts';

/** @throws CtlError for a double-quoted word that Go cannot read */
export function wordsOf(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?/g) ?? [];
  return words.map((word) => {
    if (word.startsWith("'")) return word.slice(1, -1);
    if (!word.startsWith('"')) return word;
    try {
      return unquote(word).value;
    } catch (error) {
      if (error instanceof GoTextError) throw new CtlError(ExitCode.InvalidInput, error.message);
      throw error;
    }
  });
}
