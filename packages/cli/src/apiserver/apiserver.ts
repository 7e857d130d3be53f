/**
 * `keelson apiserver`: the API server as kube-apiserver, with one flag more: --controllers lets the control loops of
 * kube-controller-manager run in the same process. Loads neither before it is called.
 */
import { randomInt } from 'node:crypto';
import { Prng, systemClock } from '@keelson/base';
import type { Io } from '../io.ts';
import { UsageError, takeControllers } from './controllers-flag.ts';

const PROGRAM = 'keelson apiserver';
const HELP = `
Keelson flags:

       --controllers strings
            Control loops to run in this process, as kube-controller-manager's flag of this name: * for all that are on by
            default, foo for that one, -foo not for that one. None unless told.
`;

/** @param argv what follows `keelson apiserver`. @returns the exit code */
export async function runApiserver(argv: readonly string[], io: Io): Promise<number> {
  const { main } = await import('@keelson/apiserver');
  let controllers: readonly string[];
  let rest: readonly string[];
  try {
    ({ controllers, rest } = takeControllers(argv));
    if (controllers.length > 0) await checkNames(controllers);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`Error: ${error.message}\n`);
    return 1;
  }
  const helps = argv.includes('--help') || argv.includes('-h');
  const code = await main(rest, {
    program: PROGRAM,
    streams: io,
    ...(controllers.length === 0 ? {} : { beside: await loops(controllers) }),
  });
  if (helps && code === 0) io.out(HELP);
  return code;
}

type Besides = NonNullable<NonNullable<Parameters<typeof import('@keelson/apiserver').main>[1]>['beside']>;

async function loops(controllers: readonly string[]): Promise<Besides> {
  const { startControllers } = await import('@keelson/controllers');
  const { quotaAccounts } = await import('@keelson/apiserver');
  return (server, logger, rootCertificate) => {
    const running = startControllers({
      transport: server,
      clock: systemClock,
      prng: new Prng(randomInt(2 ** 32)),
      logger,
      controllers,
      rootCertificate,
      quotaAccounts,
      signSecretToken: (account, secretName) =>
        server.secretToken({ apiVersion: 'v1', kind: 'ServiceAccount', ...account }, secretName),
    });
    server.metrics.add({ name: 'workqueue', text: () => running.metrics.text() });
    return running;
  };
}

/** @throws UsageError in the words of kube-controller-manager */
async function checkNames(words: readonly string[]): Promise<void> {
  const { CONTROLLER_NAMES } = await import('@keelson/controllers');
  const known = new Set(CONTROLLER_NAMES.flatMap(({ name, alias }) => [name, alias]));
  for (const word of words) {
    const name = word.replace(/^-/, '');
    if (word !== '*' && !known.has(name)) {
      throw new UsageError(`${JSON.stringify(name)} is not in the list of known controllers`);
    }
  }
}
