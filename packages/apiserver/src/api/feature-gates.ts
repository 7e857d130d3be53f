/**
 * Features of --feature-gates that kinds depend on. All are off unless they, or all of their stage, are switched on.
 *
 * After the table of features of Kubernetes 1.36.
 */

const GATES: Readonly<Record<string, 'AllAlpha' | 'AllBeta'>> = {
  ClusterTrustBundle: 'AllBeta',
  GenericWorkload: 'AllAlpha',
  PodCertificateRequest: 'AllBeta',
  StorageVersionMigrator: 'AllBeta',
};

/** Names that switch kinds on. */
export const KIND_GATES: readonly string[] = [...Object.keys(GATES), 'AllAlpha', 'AllBeta'];

export function gateIsOn(gate: string, gates: ReadonlyMap<string, boolean>): boolean {
  return gates.get(gate) ?? gates.get(GATES[gate]) ?? false;
}
