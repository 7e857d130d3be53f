/** Takes --controllers out of a command line, whose other flags are kube-apiserver's. */

export class UsageError extends Error {}

export interface ControllersFlag {
  /** The words of the flag; empty without it. */
  readonly controllers: readonly string[];
  /** The command line without it. */
  readonly rest: readonly string[];
}

const FLAG = '--controllers';

/** @throws UsageError with pflag's text */
export function takeControllers(argv: readonly string[]): ControllersFlag {
  const controllers: string[] = [];
  const rest: string[] = [];
  const take = (text: string): void => {
    controllers.push(...text.split(',').filter((word) => word !== ''));
  };
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word.startsWith(`${FLAG}=`)) take(word.slice(FLAG.length + 1));
    else if (word === FLAG) {
      at++;
      const text = argv[at];
      if (text === undefined) throw new UsageError(`flag needs an argument: ${FLAG}`);
      take(text);
    } else rest.push(word);
  }
  return { controllers, rest };
}
