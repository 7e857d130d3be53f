/**
 * What an etcd up to 3.5 asks of its v2 tree through the log. Members up to 3.4 publish their name and client
 * URLs that way, and the leader the cluster's version: a bare `Request` instead of the envelope of all other
 * commands. A data dir of such an etcd is opened in place, so its log may still hold some. Everything else
 * in them is the v2 key space, which nobody serves any more: it is passed over, as etcd 3.6 does.
 *
 * Modelled on etcd 3.4's applyV2Request and its store of members.
 */
import type { Membership } from '../membership/membership.ts';
import { Reader } from './command.ts';

/** Fields of `Request` (etcd 3.4: etcdserverpb/etcdserver.proto). */
const METHOD = 2;
const PATH = 3;
const VALUE = 4;

const ATTRIBUTES_PATH = /^\/0\/members\/([0-9a-f]{1,16})\/attributes$/;
const VERSION_PATH = '/0/version';

/** Does to the membership what the request says. @throws Error when a member's attributes are no JSON */
export function applyV2Request(membership: Membership, body: Buffer): void {
  const { method, path, value } = decodeV2Request(body);
  if (method !== 'PUT' && method !== 'POST') return;
  if (path === VERSION_PATH) {
    membership.setClusterVersion(value);
    return;
  }
  const match = ATTRIBUTES_PATH.exec(path);
  if (match === null) return;
  const { name, clientUrls } = attributesOf(value);
  membership.setAttributes(BigInt(`0x${match[1]}`), name, clientUrls);
}

function decodeV2Request(body: Buffer): { method: string; path: string; value: string } {
  const fields: Record<number, string> = {};
  const reader = new Reader(body);
  while (reader.at < body.length) {
    const tag = reader.varint();
    if ((tag & 7) === 2) fields[tag >> 3] = reader.bytes().toString('utf8');
    else reader.skip(tag & 7);
  }
  return { method: fields[METHOD] ?? '', path: fields[PATH] ?? '', value: fields[VALUE] ?? '' };
}

/** The JSON of a member's own word about itself; what is missing is empty. */
export function attributesOf(text: string): { readonly name: string; readonly clientUrls: string[] } {
  const value: unknown = JSON.parse(text);
  const fields: Readonly<Record<string, unknown>> =
    typeof value === 'object' && value !== null ? { ...value } : {};
  const urls: unknown = fields['clientURLs'];
  return {
    name: typeof fields['name'] === 'string' ? fields['name'] : '',
    clientUrls: Array.isArray(urls)
      ? urls.filter((url: unknown): url is string => typeof url === 'string')
      : [],
  };
}
