/**
 * The members of a cluster and the API server before them, and the flags each gets: all of its configuration, so that a
 * line of `ps` tells it.
 */
import { totalmem } from 'node:os';
import type { UpCertificates } from './certificates.ts';
import { APISERVER, type DataDir } from './data-dir.ts';
import type { MemberSpec } from './member.ts';
import { HOST, type MemberPorts } from './ports.ts';

/** How a program is called, before its flags: node, its flags as in bin/runtime.sh, the script. */
export function programCommand(script: string): string[] {
  const heapMiB = Math.floor((totalmem() / 2 ** 20) * 0.75);
  const thrift = ['--max-semi-space-size=16', '--heap-growing-percent=160'];
  return [process.execPath, `--max-old-space-size=${heapMiB}`, ...thrift, '--no-warnings', script];
}

export function planMembers(
  program: readonly string[],
  ports: readonly MemberPorts[],
  dataDir: DataDir,
  tls?: UpCertificates,
): MemberSpec[] {
  const scheme = tls === undefined ? 'http' : 'https';
  const members = ports.map(({ client, peer }, index) => ({
    name: `m${index + 1}`,
    clientUrl: `${scheme}://${HOST}:${client}`,
    peerUrl: `${scheme}://${HOST}:${peer}`,
  }));
  const initialCluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  return members.map(({ name, clientUrl, peerUrl }) => ({
    name,
    kind: 'store',
    clientUrl,
    logFile: dataDir.logFile(name),
    command: [
      ...program,
      `--name=${name}`,
      `--data-dir=${dataDir.memberDir(name)}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-cluster-token=${dataDir.token}`,
      '--initial-cluster-state=new',
      ...(tls === undefined ? [] : tlsFlags(tls)),
    ],
  }));
}

/** Clients and members must show certificates of the cluster's own authority. */
function tlsFlags({ caFile, member }: UpCertificates): string[] {
  return ['', 'peer-'].flatMap((prefix) => [
    `--${prefix}cert-file=${member.cert}`,
    `--${prefix}key-file=${member.key}`,
    `--${prefix}trusted-ca-file=${caFile}`,
  ]);
}

/** @param members of the store, as planned */
export function planApiserver(
  program: readonly string[],
  port: number,
  dataDir: DataDir,
  members: readonly MemberSpec[],
  tls?: UpCertificates,
): MemberSpec {
  return {
    name: APISERVER,
    kind: 'apiserver',
    clientUrl: `https://${HOST}:${port}`,
    logFile: dataDir.logFile(APISERVER),
    command: [
      ...program,
      `--etcd-servers=${members.map(({ clientUrl }) => clientUrl).join(',')}`,
      ...(tls === undefined
        ? []
        : [
            `--etcd-cafile=${tls.caFile}`,
            `--etcd-certfile=${tls.client.cert}`,
            `--etcd-keyfile=${tls.client.key}`,
          ]),
      `--cert-dir=${dataDir.apiserverDir}`,
      `--bind-address=${HOST}`,
      `--secure-port=${port}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      '--enable-bootstrap-token-auth',
      '--enable-admission-plugins=NodeRestriction',
      '--controllers=*',
      // One server on a store of its own: its loops wait for no lease, least of all for that of a run that was killed,
      // and a deleted namespace is not left alone for the sake of other servers.
      '--leader-elect=false',
    ],
  };
}
