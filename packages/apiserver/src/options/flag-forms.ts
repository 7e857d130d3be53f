/**
 * Flags whose values have a form of their own: pairs of files for names, ranges of ports, gates, versions, names of modes.
 * A text that is not of its form comes to undefined or to what is wrong, and is refused by contradictions.ts; what is
 * left is taken by command-line.ts.
 */

import type { AuthorizationMode, SniPair } from './config.ts';
import { spokenVersions, type SpokenVersions } from './emulated-version.ts';
import { parseBool, type FlagValues } from './flags.ts';

export const AUTHORIZATION_MODES: readonly AuthorizationMode[] = [
  'ABAC',
  'AlwaysAllow',
  'AlwaysDeny',
  'Node',
  'RBAC',
  'Webhook',
];
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** --feature-gates by name, `Name=true` or `kube:Name=true`; undefined for what is neither true nor false. */
export function gatesOf(values: FlagValues): Map<string, boolean | undefined> {
  const given = [...values.map('feature-gates')].filter(([name]) => name !== '');
  return new Map(given.map(([name, value]) => [name.replace(/^kube:/, ''), parseBool(value)]));
}

/** `cert,key` or `cert,key:name,name`. */
export function sniPair(item: string): SniPair | undefined {
  const colon = item.indexOf(':');
  const files = (colon < 0 ? item : item.slice(0, colon)).split(',');
  if (files.length !== 2 || files.includes('')) return undefined;
  const names = colon < 0 ? [] : item.slice(colon + 1).split(',');
  return { certFile: files[0], keyFile: files[1], names: names.filter((name) => name !== '') };
}

/** `30000-32767`, or `30000+100`. */
export function nodePortsOf(values: FlagValues): { first: number; last: number } | undefined {
  const match = /^(\d{1,5})(?:([-+])(\d{1,5}))?$/.exec(values.string('service-node-port-range').trim());
  if (match === null) return undefined;
  const first = Number(match[1]);
  const second = Number(match[3] ?? first);
  const last = match[2] === '+' ? first + second : second;
  return first <= last && last <= 65_535 ? { first, last } : undefined;
}

/** --emulated-version and --min-compatibility-version. */
export function spokenOf(values: FlagValues): SpokenVersions | readonly string[] {
  return spokenVersions(values.strings('emulated-version'), values.strings('min-compatibility-version'));
}
