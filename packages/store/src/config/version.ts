/**
 * What this build calls itself. Every test and tool that starts an etcd reads the first line of
 * --version, so the version there is etcd's; our own stands where etcd has its commit.
 */

/** The release whose behaviour this is; also in /version, Status and etcd_server_version. */
export const ETCD_VERSION = '3.7.1';

/** Version of this package; a test keeps it equal to package.json. */
export const KEELSON_VERSION = '0.1.0';

/** What versionLines needs of the runtime; `process` has it. */
export interface Runtime {
  /** "v24.1.0". */
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
}

/** Node's names of processors where Go's differ. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** The four lines of --version, in etcd's form. */
export function versionLines(runtime: Runtime = process): readonly string[] {
  const platform = runtime.platform === 'win32' ? 'windows' : runtime.platform;
  return [
    `etcd Version: ${ETCD_VERSION}`,
    `Git SHA: keelson-${KEELSON_VERSION}`,
    `Go Version: node ${runtime.version}`,
    `Go OS/Arch: ${platform}/${GO_ARCH[runtime.arch] ?? runtime.arch}`,
  ];
}
