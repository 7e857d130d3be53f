/**
 * Which level of the Pod Security Standards a namespace wants enforced, audited and warned of, in which version: read
 * from its labels over the server's defaults. Pure.
 *
 * Modelled on Kubernetes' pod-security-admission/api.
 */

import type { FieldError } from '../../api/status.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';

/** Each stricter than the one before. */
const LEVELS: readonly Level[] = ['privileged', 'baseline', 'restricted'];

export interface LevelVersion {
  readonly level: Level;
  /** The minor version; undefined: the latest. */
  readonly minor: number | undefined;
}

export interface Policy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
}

const PREFIX = 'pod-security.kubernetes.io/';

/** `restricted:latest`, `baseline:v1.27`. */
export function levelText({ level, minor }: LevelVersion): string {
  return `${level}:${minor === undefined ? 'latest' : `v1.${minor}`}`;
}

export function sameLevel(a: LevelVersion, b: LevelVersion): boolean {
  return a.level === b.level && a.minor === b.minor;
}

/** Below zero, zero or above as `a` is less strict, as strict or stricter. */
export function compareLevels(a: Level, b: Level): number {
  return LEVELS.indexOf(a) - LEVELS.indexOf(b);
}

const PRIVILEGED: LevelVersion = { level: 'privileged', minor: undefined };

export function isPrivileged(policy: Policy): boolean {
  return [policy.enforce, policy.audit, policy.warn].every(({ level }) => level === 'privileged');
}

/** The server's defaults. @param settings by mode and `MODE-version`; not checked here */
export function defaultPolicy(settings: Readonly<Partial<Record<string, string>>>): Policy {
  const mode = (name: string): LevelVersion => ({
    level: levelNamed(settings[name] ?? '') ?? PRIVILEGED.level,
    minor: minorNamed(settings[`${name}-version`] ?? 'latest') ?? undefined,
  });
  return { enforce: mode('enforce'), audit: mode('audit'), warn: mode('warn') };
}

/**
 * What the labels make of the defaults. What they say wrongly counts as the strictest for enforcing, as nothing for
 * the rest, and is told.
 */
export function policyOf(
  labels: Readonly<Record<string, string>> | undefined,
  defaults: Policy,
): { readonly policy: Policy; readonly errors: readonly FieldError[] } {
  const errors: FieldError[] = [];
  const read = (mode: keyof Policy, ifWrong: Level): LevelVersion & { readonly set: LabelState } => {
    const levelLabel = labels?.[`${PREFIX}${mode}`];
    const versionLabel = labels?.[`${PREFIX}${mode}-version`];
    const level = levelLabel === undefined ? defaults[mode].level : levelNamed(levelLabel);
    const minor = versionLabel === undefined ? defaults[mode].minor : minorNamed(versionLabel);
    if (level === undefined) {
      errors.push(wrong(mode, levelLabel ?? '', `must be one of ${LEVELS.join(', ')}`));
    }
    if (minor === null)
      errors.push(wrong(`${mode}-version`, versionLabel ?? '', 'must be "latest" or "v1.x"'));
    return {
      level: level ?? ifWrong,
      minor: minor ?? undefined,
      set: {
        level: levelLabel !== undefined,
        right: levelLabel !== undefined && level !== undefined,
        version: versionLabel !== undefined && minor !== null,
      },
    };
  };
  const enforce = read('enforce', 'restricted');
  const audit = read('audit', 'privileged');
  const warn = read('warn', 'privileged');
  // Who enforces more than he says he is warned of is warned of that as well.
  const follows = !warn.set.level && enforce.set.right && compareLevels(enforce.level, warn.level) > 0;
  const policy = {
    enforce: plain(enforce),
    audit: plain(audit),
    warn: follows
      ? {
          level: enforce.level,
          minor: !warn.set.version && enforce.set.version ? enforce.minor : warn.minor,
        }
      : plain(warn),
  };
  return { policy, errors };
}

interface LabelState {
  readonly level: boolean;
  readonly right: boolean;
  readonly version: boolean;
}

function plain({ level, minor }: LevelVersion): LevelVersion {
  return { level, minor };
}

function levelNamed(name: string): Level | undefined {
  return LEVELS.find((level) => level === name);
}

/** Undefined: the latest; null: no version. */
function minorNamed(name: string): number | undefined | null {
  if (name === 'latest') return undefined;
  const match = /^v1\.([0-9]|[1-9][0-9]*)$/.exec(name);
  return match === null ? null : Number(match[1]);
}

function wrong(label: string, value: string, text: string): FieldError {
  return {
    type: 'FieldValueInvalid',
    field: `metadata.labels[${PREFIX}${label}]`,
    body: `Invalid value: ${JSON.stringify(value)}: ${text}`,
  };
}

/** Modes that the labels set themselves, of those that are not privileged: for the warning about an exempt namespace. */
export function modesSaid(policy: Policy, labels: Readonly<Record<string, string>> | undefined): string {
  return (['enforce', 'audit', 'warn'] as const)
    .filter((mode) => policy[mode].level !== 'privileged')
    .filter((mode) => ['', '-version'].some((end) => labels?.[`${PREFIX}${mode}${end}`] !== undefined))
    .map((mode) => `${mode}=${levelText(policy[mode])}`)
    .join(', ');
}
