/**
 * --emulated-version and --min-compatibility-version: which versions this server says that it behaves as and gets on
 * with. Checked and refused as the original's version registry does; nothing is served otherwise for it.
 *
 * Modelled on component-base's compatibility registry.
 */

/** Minor versions of Kubernetes 1. */
export interface SpokenVersions {
  readonly emulated: number;
  readonly compatible: number;
}

/** The API this server has, and the oldest that it may say to be. */
const BINARY_MINOR = 36;
const EMULATED_MIN = 33;

type Read = { readonly minor: number | undefined } | { readonly problem: string };

/**
 * @param emulated values of the flag, `1.35` or `kube=1.35`
 * @returns the versions, or what is wrong in the original's words
 */
export function spokenVersions(
  emulated: readonly string[],
  compatible: readonly string[],
): SpokenVersions | readonly string[] {
  const [first, second] = [minorOf(emulated), minorOf(compatible)];
  if ('problem' in first) return [first.problem];
  if ('problem' in second) return [second.problem];
  const spoken = first.minor ?? BINARY_MINOR;
  const oldest = second.minor ?? Math.max(EMULATED_MIN, spoken - 1);
  const problems: string[] = [];
  if (spoken < EMULATED_MIN || spoken > BINARY_MINOR) {
    problems.push(`emulation version 1.${spoken} is not between [1.${EMULATED_MIN}, 1.${BINARY_MINOR}.0]`);
  }
  if (oldest < EMULATED_MIN || oldest > spoken) {
    problems.push(
      `minCompatibilityVersion version 1.${oldest} is not between [1.${EMULATED_MIN}, 1.${spoken}]`,
    );
  }
  return problems.length > 0 ? problems : { emulated: spoken, compatible: oldest };
}

function minorOf(values: readonly string[]): Read {
  let minor: number | undefined;
  for (const value of values) {
    const equals = value.indexOf('=');
    const component = equals < 0 ? 'kube' : value.slice(0, equals).trim();
    const version = value.slice(equals + 1).trim();
    if (component !== 'kube') return { problem: `component not registered: ${component}` };
    const match = /^v?1\.(\d{1,3})$/.exec(version);
    if (match === null) return { problem: `could not parse ${JSON.stringify(version)} as version` };
    minor = Number(match[1]);
  }
  return { minor };
}
