/**
 * A command line's words in the dialect of etcd's programs: --name value, --name=value, -w json, -wjson, flags and
 * arguments in any order, "--" ends the flags. It finds whose value is what; what a value may be, and what a flag means,
 * is for others to say. Texts of errors are those of Go's pflag, which this is modelled on.
 */

/** As much of a flag as it takes to find it. */
export interface FlagShape {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** 'bool' may stand without a value. */
  readonly kind: string;
}

/** A flag that does not exist, or a value it cannot have; the message is for the user. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

export interface FlagWords {
  /** What is no flag, in order; what follows "--" included. */
  readonly args: string[];
  /** What follows "--"; undefined when there is none. */
  readonly afterDashes: string[] | undefined;
}

/**
 * @param flags where two have one name or letter, the first counts
 * @param set told of each flag and its value, in order; what it throws ends the reading
 * @throws FlagError
 */
export function readFlagWords<F extends FlagShape>(
  flags: readonly F[],
  argv: readonly string[],
  set: (flag: F, text: string) => void,
): FlagWords {
  const args: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at];
    if (word === '--') {
      const afterDashes = argv.slice(at + 1);
      return { args: [...args, ...afterDashes], afterDashes };
    }
    const next: string | undefined = argv[at + 1];
    if (word.startsWith('--')) {
      if (readLong(flags, word, next, set)) at++;
    } else if (word.startsWith('-') && word.length > 1) {
      if (readShort(flags, word.slice(1), next, set)) at++;
    } else args.push(word);
  }
  return { args, afterDashes: undefined };
}

/** @returns whether the next word was its value */
function readLong<F extends FlagShape>(
  flags: readonly F[],
  word: string,
  next: string | undefined,
  set: (flag: F, text: string) => void,
): boolean {
  if (/^--[-=]/.test(word)) throw new FlagError(`bad flag syntax: ${word}`);
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const flag = flags.find((each) => each.name === name);
  if (flag === undefined) throw new FlagError(`unknown flag: --${name}`);
  if (equals >= 0) set(flag, word.slice(equals + 1));
  else if (flag.kind === 'bool') set(flag, 'true');
  else if (next === undefined) throw new FlagError(`flag needs an argument: ${word}`);
  else {
    set(flag, next);
    return true;
  }
  return false;
}

/** A word of one-letter flags, without its dash. @returns as readLong */
function readShort<F extends FlagShape>(
  flags: readonly F[],
  letters: string,
  next: string | undefined,
  set: (flag: F, text: string) => void,
): boolean {
  for (let rest = letters; rest !== ''; rest = rest.slice(1)) {
    const letter = rest.charAt(0);
    const flag = flags.find((each) => each.short === letter);
    if (flag === undefined) throw new FlagError(`unknown shorthand flag: '${letter}' in -${rest}`);
    const assigned = rest.length > 2 && rest.charAt(1) === '=';
    if (!assigned && flag.kind === 'bool') {
      set(flag, 'true');
      continue;
    }
    if (rest.length > 1) set(flag, rest.slice(assigned ? 2 : 1));
    else if (next === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${rest}`);
    else {
      set(flag, next);
      return true;
    }
    return false;
  }
  return false;
}
