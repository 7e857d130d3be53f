/**
 * Where a call came from, as the audit log tells it. Calls within the process (the JSON gateway's, and those that Lock
 * and Election make for their callers) say so in metadata that whoever makes them sets last; on calls from a network
 * nobody looks at it.
 */
import type { CallContext, Metadata } from '@keelson/rpc';

const REMOTE_KEY = 'keelson-origin-remote';
const VIA_KEY = 'keelson-origin-via';
/** What the rpc room calls the other end of a call within the process. */
const IN_PROCESS = 'in-process';

export interface Origin {
  /** Address of the client; "in-process" for one that has none. */
  readonly remote: string;
  /** What made the call for the client; '' when it was made directly. */
  readonly via: string;
}

export function originOf(call: CallContext): Origin {
  const { peer, metadata } = call;
  if (peer !== IN_PROCESS) return { remote: peer, via: '' };
  return { remote: metadata.text(REMOTE_KEY) || peer, via: metadata.text(VIA_KEY) ?? '' };
}

/** Notes for whom a call within the process is made; whatever stood there goes. */
export function setOrigin(metadata: Metadata, { remote, via }: Origin): void {
  metadata.set(REMOTE_KEY, remote.replaceAll(/[^ -~]/g, '?'));
  metadata.set(VIA_KEY, via);
}
