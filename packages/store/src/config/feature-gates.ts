/**
 * Feature gates as etcd 3.7 knows them: names, maturity, defaults, and the text form
 * "Name=true,Other=false" with the AllAlpha and AllBeta switches. Only parses; what a gate does is
 * decided where it is read.
 */
import { type Parsed, goQuote, parseGoBool, parsed, refused } from './go-values.ts';

export const FEATURE_GATES = {
  CompactHashCheck: { stage: 'alpha', enabled: false },
  FastLeaseKeepAlive: { stage: 'beta', enabled: true },
  InitialCorruptCheck: { stage: 'alpha', enabled: false },
  LeaseCheckpoint: { stage: 'alpha', enabled: false },
  LeaseCheckpointPersist: { stage: 'alpha', enabled: false },
  PriorityRequest: { stage: 'alpha', enabled: false },
  SetMemberLocalAddr: { stage: 'alpha', enabled: false },
  StopGRPCServiceOnDefrag: { stage: 'alpha', enabled: false },
  TxnModeWriteWithSharedBuffer: { stage: 'beta', enabled: true },
} as const satisfies Readonly<Record<string, { stage: 'alpha' | 'beta'; enabled: boolean }>>;

export type FeatureGate = keyof typeof FEATURE_GATES;

export function isFeatureGate(name: string): name is FeatureGate {
  return Object.hasOwn(FEATURE_GATES, name);
}

export const FEATURE_GATE_NAMES: readonly FeatureGate[] = Object.keys(FEATURE_GATES).filter(isFeatureGate);

/** Every gate's state. `chosen` names those a user set, by name or through AllAlpha and AllBeta. */
export interface FeatureGates {
  readonly enabled: Readonly<Record<FeatureGate, boolean>>;
  readonly chosen: readonly FeatureGate[];
}

export function defaultFeatureGates(): FeatureGates {
  const enabled = Object.fromEntries(FEATURE_GATE_NAMES.map((name) => [name, FEATURE_GATES[name].enabled]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- built from every name just above
  return { enabled: enabled as Record<FeatureGate, boolean>, chosen: [] };
}

const SWITCHES: Readonly<Record<string, 'alpha' | 'beta'>> = { AllAlpha: 'alpha', AllBeta: 'beta' };

/**
 * Adds the choices in `text` to `gates`: repeated flags accumulate. A gate chosen by name beats the
 * switches, whichever comes first.
 */
export function setFeatureGates(gates: FeatureGates, text: string): Parsed<FeatureGates> {
  const choices = new Map<string, boolean>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (equals < 0) return refused(`missing bool value for ${name}`);
    const value = part.slice(equals + 1).trim();
    const bool = parseGoBool(value);
    if (!bool.ok) {
      const cause = `strconv.ParseBool: parsing ${goQuote(value)}: ${bool.error}`;
      return refused(`invalid value of ${name}=${value}, err: ${cause}`);
    }
    choices.set(name, bool.value);
  }
  const enabled = { ...gates.enabled };
  const chosen = new Set(gates.chosen);
  for (const [name, value] of choices) {
    if (Object.hasOwn(SWITCHES, name)) continue;
    if (!isFeatureGate(name)) return refused(`unrecognized feature gate: ${name}`);
    enabled[name] = value;
    chosen.add(name);
  }
  for (const [name, value] of choices) {
    const stage = Object.hasOwn(SWITCHES, name) ? SWITCHES[name] : undefined;
    for (const gate of FEATURE_GATE_NAMES) {
      if (FEATURE_GATES[gate].stage !== stage || chosen.has(gate)) continue;
      enabled[gate] = value;
      chosen.add(gate);
    }
  }
  return parsed({ enabled, chosen: FEATURE_GATE_NAMES.filter((gate) => chosen.has(gate)) });
}
