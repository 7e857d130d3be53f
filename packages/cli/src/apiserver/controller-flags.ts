/**
 * The flags of kube-controller-manager that `keelson apiserver` takes beside kube-apiserver's own, taken out of its
 * command line. Names, defaults and texts of errors are the original's.
 */
import { describeFlags, FlagError, FlagValues, type FlagSpec } from '../flags.ts';

export class UsageError extends Error {}

/** Which of the signers of kubernetes.io a file is for. */
export const SIGNER_FLAGS = [
  'kubelet-serving',
  'kubelet-client',
  'kube-apiserver-client',
  'legacy-unknown',
] as const;
export type SignerFlag = (typeof SIGNER_FLAGS)[number];

export interface SigningFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface ControllerSettings {
  /** The words of --controllers; empty: no loop runs. */
  readonly controllers: readonly string[];
  /** undefined: the loops run at once, whoever else runs them. */
  readonly leaderElection:
    | {
        readonly leaseMs: number;
        readonly renewMs: number;
        readonly retryMs: number;
        readonly name: string;
        readonly namespace: string;
      }
    | undefined;
  readonly signing: {
    readonly durationMs: number;
    /** One for all signers, or those that have one; undefined: the server's own authority. */
    readonly files: SigningFiles | Readonly<Partial<Record<SignerFlag, SigningFiles>>> | undefined;
  };
  readonly legacyTokenCleanUpMs: number;
}

export interface TakenFlags {
  readonly settings: ControllerSettings;
  /** The command line without them. */
  readonly rest: readonly string[];
}

const signingFile = (signer: string, what: 'cert' | 'key'): FlagSpec => ({
  name: `cluster-signing-${signer === '' ? '' : `${signer}-`}${what}-file`,
  kind: 'string',
  initial: '',
  usage:
    what === 'cert'
      ? `PEM certificate of the authority that signs requests${signer === '' ? '' : ` for kubernetes.io's ${signer}`}; the server's own unless told`
      : 'its private key, PEM',
});

const FLAGS: readonly FlagSpec[] = [
  {
    name: 'controllers',
    kind: 'strings',
    initial: '',
    usage:
      "control loops to run in this process, by kube-controller-manager's names: * for all that are on by default, foo for that one, -foo not for that one; none unless told",
  },
  {
    name: 'leader-elect',
    kind: 'bool',
    initial: 'true',
    usage: 'run the loops only while this process holds the lease of them all',
  },
  {
    name: 'leader-elect-lease-duration',
    kind: 'duration',
    initial: '15s',
    usage: 'how long others wait after the last renewal before they take over',
  },
  {
    name: 'leader-elect-renew-deadline',
    kind: 'duration',
    initial: '10s',
    usage: 'how long the leader tries to renew before it stops leading',
  },
  { name: 'leader-elect-retry-period', kind: 'duration', initial: '2s', usage: 'between attempts' },
  {
    name: 'leader-elect-resource-lock',
    kind: 'string',
    initial: 'leases',
    usage: "what the lock is: 'leases'",
  },
  {
    name: 'leader-elect-resource-name',
    kind: 'string',
    initial: 'kube-controller-manager',
    usage: 'name of the lease',
  },
  {
    name: 'leader-elect-resource-namespace',
    kind: 'string',
    initial: 'kube-system',
    usage: 'namespace of the lease',
  },
  {
    name: 'cluster-signing-duration',
    kind: 'duration',
    initial: '8760h0m0s',
    usage: 'the longest a signed certificate is good for; requests may ask for less',
  },
  ...['', ...SIGNER_FLAGS].flatMap((signer) => [signingFile(signer, 'cert'), signingFile(signer, 'key')]),
  {
    name: 'legacy-service-account-token-clean-up-period',
    kind: 'duration',
    initial: '8760h0m0s',
    usage: 'how long a token in a Secret is unused before it is deleted',
  },
];

/** The flags, as a help shows them. */
export function controllerFlagsHelp(): string {
  return `\nKeelson flags:\n\n${describeFlags(FLAGS)}`;
}

/** @throws UsageError with pflag's texts, or the original's */
export function takeControllerFlags(argv: readonly string[]): TakenFlags {
  const values = new FlagValues(FLAGS);
  const rest: string[] = [];
  try {
    for (let at = 0; at < argv.length; at++) {
      const word = argv[at] ?? '';
      if (word === '--') {
        rest.push(...argv.slice(at));
        break;
      }
      const equals = word.indexOf('=');
      const name = equals < 0 ? word : word.slice(0, equals);
      const spec = FLAGS.find((one) => `--${one.name}` === name);
      if (spec === undefined) rest.push(word);
      else if (equals >= 0) values.set(spec, word.slice(equals + 1));
      else if (spec.kind === 'bool') values.set(spec, 'true');
      else {
        at++;
        const text = argv[at];
        if (text === undefined) throw new UsageError(`flag needs an argument: --${spec.name}`);
        values.set(spec, text);
      }
    }
  } catch (error) {
    if (error instanceof FlagError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
  return { settings: settingsOf(values), rest };
}

function settingsOf(values: FlagValues): ControllerSettings {
  return {
    controllers: values
      .strings('controllers')
      .map((word) => word.trim())
      .filter((word) => word !== ''),
    leaderElection: values.bool('leader-elect') ? electionOf(values) : undefined,
    signing: { durationMs: values.durationMs('cluster-signing-duration'), files: filesOf(values) },
    legacyTokenCleanUpMs: positive(values, 'legacy-service-account-token-clean-up-period'),
  };
}

function electionOf(values: FlagValues): ControllerSettings['leaderElection'] {
  const leaseMs = positive(values, 'leader-elect-lease-duration');
  const renewMs = positive(values, 'leader-elect-renew-deadline');
  const retryMs = positive(values, 'leader-elect-retry-period');
  if (values.string('leader-elect-resource-lock') !== 'leases')
    throw new UsageError('resourceLock value must be "leases"');
  if (leaseMs <= renewMs)
    throw new UsageError(
      'leaderElection.leaseDuration: Invalid value: LeaseDuration must be greater than RenewDeadline',
    );
  // Attempts are spread by a fifth.
  if (renewMs <= retryMs * 1.2)
    throw new UsageError(
      'leaderElection.renewDeadline: Invalid value: RenewDeadline must be greater than RetryPeriod*JitterFactor',
    );
  return {
    leaseMs,
    renewMs,
    retryMs,
    name: values.string('leader-elect-resource-name'),
    namespace: values.string('leader-elect-resource-namespace'),
  };
}

function positive(values: FlagValues, name: string): number {
  const found = values.durationMs(name);
  if (found <= 0) throw new UsageError(`--${name} must be greater than zero`);
  return found;
}

function filesOf(values: FlagValues): ControllerSettings['signing']['files'] {
  const pair = (signer: string): SigningFiles | undefined => {
    const prefix = `cluster-signing-${signer === '' ? '' : `${signer}-`}`;
    const certFile = values.string(`${prefix}cert-file`);
    const keyFile = values.string(`${prefix}key-file`);
    if (certFile === '' && keyFile === '') return undefined;
    if (certFile === '' || keyFile === '')
      throw new UsageError(`--${prefix}cert-file and --${prefix}key-file go together`);
    return { certFile, keyFile };
  };
  const all = pair('');
  const each: Partial<Record<SignerFlag, SigningFiles>> = {};
  for (const signer of SIGNER_FLAGS) {
    const one = pair(signer);
    if (one !== undefined) each[signer] = one;
  }
  const some = Object.keys(each).length > 0;
  if (all !== undefined && some) {
    throw new UsageError(
      'cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time',
    );
  }
  return some ? each : all;
}
