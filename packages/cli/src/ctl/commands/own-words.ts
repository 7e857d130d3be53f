/** version, options and completion: commands about the program itself. They need no cluster. */
import { API_VERSION, ETCD_VERSION } from '../../version.ts';
import type { Command } from '../command.ts';
import { SHELLS, completionScript } from '../completion.ts';
import { CtlError, ExitCode } from '../ctl-error.ts';
import { quoteText } from '../../go-text.ts';
import { flagUsages } from '../flag-usages.ts';
import { GLOBAL_FLAGS } from '../globals.ts';

const version: Command = {
  path: ['version'],
  usage: '',
  short: 'Prints the version of etcdctl',
  offline: true,
  flags: [],
  run({ io }) {
    io.out(`etcdctl version: ${ETCD_VERSION}\nAPI version: ${API_VERSION}\n`);
    return Promise.resolve(ExitCode.Success);
  },
};

const options: Command = {
  path: ['options'],
  usage: '',
  short: 'Show the global command-line flags',
  offline: true,
  flags: [],
  run({ io }) {
    io.out(`The following options can be passed to any command:\n\n${flagUsages(GLOBAL_FLAGS)}`);
    return Promise.resolve(ExitCode.Success);
  },
};

const completion: Command = {
  path: ['completion'],
  usage: '[bash|zsh|fish|powershell]',
  short: 'Generate completion script',
  long: `Prints a script that teaches a shell the commands and flags there are. To load it:

Bash:        source <(etcdctl completion bash)
Zsh:         source <(etcdctl completion zsh)
fish:        etcdctl completion fish | source
PowerShell:  etcdctl completion powershell | Out-String | Invoke-Expression

To load it in every session, put the script where your shell looks for completions.`,
  offline: true,
  flags: [],
  run({ args, io, program }) {
    const [wanted] = args;
    if (args.length !== 1) throw new CtlError(ExitCode.Error, `accepts 1 arg(s), received ${args.length}`);
    const shell = SHELLS.find((candidate) => candidate === wanted);
    if (shell === undefined) {
      throw new CtlError(
        ExitCode.Error,
        `invalid argument ${quoteText(wanted ?? '')} for "${program} completion"`,
      );
    }
    io.out(completionScript(shell, program));
    return Promise.resolve(ExitCode.Success);
  },
};

export const ownWords: readonly Command[] = [version, options, completion];
