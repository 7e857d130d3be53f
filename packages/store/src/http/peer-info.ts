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

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export function membersHandler(membership: Membership, clusterId: bigint): Handler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
    sendJson(response, membership.list().map(memberJson));
  };
}

export function versionHandler(membership: Membership): Handler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    sendJson(response, {
      etcdserver: ETCD_VERSION,
      etcdcluster: membership.clusterVersion === '' ? 'not_decided' : membership.clusterVersion,
      storage: STORAGE_VERSION,
    });
  };
}

function allowGet(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET') return true;
  response.writeHead(405, { Allow: 'GET', 'Content-Type': 'text/plain; charset=utf-8' });
  response.end('Method Not Allowed\n');
  return false;
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}
