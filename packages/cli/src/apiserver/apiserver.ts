/**
 * `keelson apiserver`: the API server as kube-apiserver, with flags of kube-controller-manager beside its own, by which
 * control loops run in the same process (controller-flags.ts). Loads neither before it is called.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Prng, systemClock } from '@keelson/base';
import type { Io } from '../io.ts';
import {
  controllerFlagsHelp,
  SIGNER_FLAGS,
  takeControllerFlags,
  UsageError,
  type ControllerSettings,
  type SigningFiles,
} from './controller-flags.ts';

const PROGRAM = 'keelson apiserver';

/** @param argv what follows `keelson apiserver`. @returns the exit code */
export async function runApiserver(argv: readonly string[], io: Io): Promise<number> {
  const { main } = await import('@keelson/apiserver');
  let beside: Beside | undefined;
  let rest: readonly string[];
  try {
    const taken = takeControllerFlags(argv);
    rest = taken.rest;
    beside = taken.settings.controllers.length === 0 ? undefined : await loops(taken.settings);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`Error: ${error.message}\n`);
    return 1;
  }
  const helps = argv.includes('--help') || argv.includes('-h');
  const code = await main(rest, {
    program: PROGRAM,
    streams: io,
    ...(beside === undefined ? {} : { beside }),
  });
  if (helps && code === 0) io.out(controllerFlagsHelp());
  return code;
}

type Beside = NonNullable<NonNullable<Parameters<typeof import('@keelson/apiserver').main>[1]>['beside']>;

/** @throws UsageError for a loop there is not, or files of signers that cannot be used */
async function loops(settings: ControllerSettings): Promise<Beside> {
  const { checkControllers, ControllerNameError, startControllers } = await import('@keelson/controllers');
  const { quotaAccounts, requestSigners } = await import('@keelson/apiserver');
  const { controllers, leaderElection, legacyTokenCleanUpMs } = settings;
  try {
    checkControllers(controllers);
  } catch (error) {
    if (error instanceof ControllerNameError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
  const authorities = await givenAuthorities(settings);
  return (server, logger, { rootCertificate, clientAuthority }) => {
    const running = startControllers({
      transport: server,
      clock: systemClock,
      prng: new Prng(randomInt(2 ** 32)),
      logger,
      controllers,
      rootCertificate,
      quotaAccounts,
      policyWarnings: (policy) =>
        server.policyWarnings({
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind: 'ValidatingAdmissionPolicy',
          ...policy,
        }),
      certificates: {
        ...requestSigners(authorities ?? allSignersOf(clientAuthority), () => systemClock.nowMs()),
        durationMs: settings.signing.durationMs,
      },
      legacyTokenCleanUpMs,
      signSecretToken: (account, secretName) =>
        server.secretToken({ apiVersion: 'v1', kind: 'ServiceAccount', ...account }, secretName),
      ...(leaderElection === undefined
        ? {}
        : { leaderElection: { ...leaderElection, identity: `${hostname()}_${randomUUID()}` } }),
    });
    server.metrics.add({ name: 'workqueue', text: () => running.metrics.text() });
    return running;
  };
}

type Authorities = Parameters<typeof import('@keelson/apiserver').requestSigners>[0];

function allSignersOf<T>(pair: T | undefined): Partial<Record<(typeof SIGNER_FLAGS)[number], T>> {
  if (pair === undefined) return {};
  return Object.fromEntries(SIGNER_FLAGS.map((signer) => [signer, pair]));
}

/** @throws UsageError for files that cannot be used */
async function givenAuthorities({
  signing: { files },
}: ControllerSettings): Promise<Authorities | undefined> {
  if (files === undefined) return undefined;
  const { CertificateAuthority, readFile } = await import('@keelson/apiserver');
  const load = ({ certFile, keyFile }: SigningFiles): { certificate: string; key: string } => {
    try {
      const pair = { certificate: readFile(certFile), key: readFile(keyFile) };
      CertificateAuthority.load(pair);
      return pair;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`error reading CA cert file ${JSON.stringify(certFile)}: ${reason}`, {
        cause: error,
      });
    }
  };
  if (isPair(files)) return allSignersOf(load(files));
  return Object.fromEntries(Object.entries(files).map(([signer, pair]) => [signer, load(pair)]));
}

function isPair(files: NonNullable<ControllerSettings['signing']['files']>): files is SigningFiles {
  return 'certFile' in files;
}
