/**
 * A downgrade under way: operators have said that the cluster goes back one minor version, so that its
 * members may be replaced by older ones. Kept as etcd keeps it: JSON in bucket cluster.
 */
import { FatalError } from '../errors.ts';

export interface Downgrade {
  readonly enabled: boolean;
  /** For example "3.6.0"; empty while not enabled. */
  readonly targetVersion: string;
}

export const NO_DOWNGRADE: Downgrade = { enabled: false, targetVersion: '' };

export function encodeDowngrade({ enabled, targetVersion }: Downgrade): Buffer {
  return Buffer.from(JSON.stringify({ 'target-version': targetVersion, enabled }));
}

/** @throws FatalError for what encodeDowngrade does not give */
export function decodeDowngrade(bytes: Buffer): Downgrade {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'enabled' in parsed && 'target-version' in parsed) {
      const { enabled, 'target-version': targetVersion } = parsed;
      if (typeof enabled === 'boolean' && typeof targetVersion === 'string')
        return { enabled, targetVersion };
    }
  } catch {
    // Told apart from good bytes below.
  }
  throw new FatalError(`bucket cluster: no downgrade in ${bytes.toString('utf8', 0, 100)}`);
}

/** "3.7.1" → "3.7.0": cluster versions have no patch. Undefined for what is no version ("3.6" is one). */
export function clusterVersionOf(version: string): string | undefined {
  const match =
    /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?$/.exec(
      version,
    );
  return match === null ? undefined : `${match[1]}.${match[2]}.0`;
}

/** The one version that members of `version` can go back to: one minor lower (etcd: allowedDowngradeVersion). */
export function oneMinorBelow(version: string): string {
  const [major = '0', minor = '0'] = version.split('.');
  return `${major}.${Number(minor) - 1}.0`;
}

/** Whether the first version is lower, by major and minor. */
export function isLower(a: string, b: string): boolean {
  const [aMajor = 0, aMinor = 0] = a.split('.').map(Number);
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number);
  return aMajor !== bMajor ? aMajor < bMajor : aMinor < bMinor;
}
