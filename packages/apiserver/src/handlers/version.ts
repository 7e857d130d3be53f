/**
 * /version: what this server is, in the words clients compare. Major and minor are pure numbers, since clients and the
 * end-to-end tests read them as such.
 */

import type { Handler } from '../api/exchange.ts';

export interface VersionFacts {
  readonly major: string;
  readonly minor: string;
  /** Minor versions: that which this server says it behaves as, and the oldest of servers beside it; its own and the one before unless said. */
  readonly emulatedMinor?: string;
  readonly compatibleMinor?: string;
  /** `v1.36.0+keelson`: the API's version, with who serves it behind the plus. */
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly buildDate: string;
  /** `linux/amd64`; an architecture may be as Node names it, `linux/x64`. */
  readonly platform: string;
}

/** The API this server speaks. */
export const API_VERSION = { major: '1', minor: '36', patch: '0' } as const;

/** Of a build, which may say nothing of itself. @param minors it behaves as, where they are not its own */
export function versionFacts(
  build: { readonly commit: string; readonly date: string; readonly platform: string } | undefined,
  minors: Pick<VersionFacts, 'emulatedMinor' | 'compatibleMinor'> = {},
): VersionFacts {
  const { major, minor, patch } = API_VERSION;
  return {
    major,
    minor,
    gitVersion: `v${major}.${minor}.${patch}+keelson`,
    gitCommit: build?.commit ?? '',
    buildDate: build?.date ?? '1970-01-01T00:00:00Z',
    platform: goPlatform(build?.platform ?? ''),
    ...minors,
  };
}

export function versionHandler(facts: VersionFacts): Handler {
  const value = {
    major: facts.major,
    minor: facts.minor,
    emulationMajor: facts.major,
    emulationMinor: facts.emulatedMinor ?? facts.minor,
    minCompatibilityMajor: facts.major,
    minCompatibilityMinor: facts.compatibleMinor ?? String(Number(facts.minor) - 1),
    gitVersion: facts.gitVersion,
    gitCommit: facts.gitCommit,
    gitTreeState: 'clean',
    buildDate: facts.buildDate,
    // Clients print it; there is no Go here, and a made-up one would mislead.
    goVersion: 'none',
    compiler: 'none',
    platform: goPlatform(facts.platform),
  };
  return () => Promise.resolve({ kind: 'json', code: 200, value });
}

/** As Go names it, which is what clients know. */
function goPlatform(platform: string): string {
  return platform
    .replace(/\/x64$/, '/amd64')
    .replace(/\/ia32$/, '/386')
    .replace(/^win32\//, 'windows/');
}
