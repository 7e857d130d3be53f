/** What members say about themselves and the cluster through the log: names, client URLs, the version. */
import { membershippb } from '@keelson/proto';
import { NO_DOWNGRADE } from '../membership/downgrade.ts';
import type { Membership } from '../membership/membership.ts';

/** A member has started and publishes its name and client URLs. */
export function setMemberAttributes(membership: Membership, body: Buffer): void {
  const request = membershippb.decodeClusterMemberAttrSetRequest(body);
  const attributes = request.memberAttributes;
  membership.setAttributes(request.memberID, attributes?.name ?? '', attributes?.clientUrls ?? []);
}

/** Operators have asked for a downgrade, or have taken that back. */
export function setDowngrade(membership: Membership, body: Buffer): void {
  const { enabled, ver } = membershippb.decodeDowngradeInfoSetRequest(body);
  membership.setDowngrade(enabled ? { enabled, targetVersion: ver } : NO_DOWNGRADE);
}

/** The leader has found the version every member can speak. */
export function setClusterVersion(membership: Membership, body: Buffer): void {
  membership.setClusterVersion(membershippb.decodeClusterVersionSetRequest(body).ver);
}
