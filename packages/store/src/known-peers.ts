/** The transport's peers as the membership has them: whom this member dials, and no longer dials. */
import { hexId, type Logger } from '@keelson/base';
import type { MembershipChange } from './membership/membership.ts';
import { PeerError } from './peer/peer-error.ts';
import type { PeerTransport } from './peer/transport.ts';

export class KnownPeers {
  private readonly transport: PeerTransport;
  private readonly logger: Logger;
  private readonly selfId: bigint;

  constructor(transport: PeerTransport, logger: Logger, selfId: bigint) {
    this.transport = transport;
    this.logger = logger;
    this.selfId = selfId;
  }

  follow(change: MembershipChange): void {
    if (change.kind === 'removed') {
      this.transport.removePeer(change.id);
      return;
    }
    const { id, peerUrls } = change.member;
    if (id === this.selfId) return;
    try {
      if (change.kind === 'added') this.transport.addPeer(id, peerUrls);
      else this.transport.updatePeer(id, peerUrls);
    } catch (error) {
      // URLs this build cannot dial are no reason to stop applying: the member is reached when it dials us.
      if (!(error instanceof PeerError)) throw error;
      this.logger.warn('cannot dial the peer URLs of a member', {
        'remote-peer-id': hexId(id),
        'remote-peer-urls': peerUrls,
        error: error.message,
      });
    }
  }
}
