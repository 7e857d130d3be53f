/**
 * What a member tells its peers over plain HTTP on the peer port: who the members are (a joining member
 * bootstraps from it) and which version it runs (the cluster version is the lowest of all). Forms are
 * etcd's (api/etcdhttp/peer.go, version.go).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hexId } from '@keelson/base';
import { ETCD_VERSION } from '../config/version.ts';
import { memberJson } from '../membership/member.ts';
import type { Membership } from '../membership/membership.ts';
import { STORAGE_VERSION } from '../snapshot/state-image.ts';
import { allowGet, answerText } from './http-answer.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export function membersHandler(membership: Membership, clusterId: bigint): Handler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
    // One line, as Go's encoder writes it; a version has no newline behind it.
    sendJson(response, `${JSON.stringify(membership.list().map(memberJson))}\n`);
  };
}

export function versionHandler(membership: Membership): Handler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    const versions = {
      etcdserver: ETCD_VERSION,
      etcdcluster: membership.clusterVersion === '' ? 'not_decided' : membership.clusterVersion,
      storage: STORAGE_VERSION,
    };
    sendJson(response, JSON.stringify(versions));
  };
}

function sendJson(response: ServerResponse, json: string): void {
  answerText(response, json, 'application/json');
}
