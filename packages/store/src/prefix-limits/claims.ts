/**
 * What a request would add under each prefix, reckoned before it is proposed: keys, bytes, and writes for the rate. Of a
 * transaction the dearer branch counts, prefix by prefix, since which one runs is known only when it is applied. A put
 * of a key that exists adds what its value grows by; deletes of ranges give nothing back in advance, because what they
 * cover is counted only when they are applied.
 */
import { keyFromBytes } from '@keelson/base';
import type { etcdserverpb } from '@keelson/proto';
import type { PrefixUsage } from './usage.ts';

/** Under one prefix. Below 0 where the request takes away more than it adds. */
export class Claim {
  readonly rule: number;
  keys = 0;
  bytes = 0;
  writes = 0;

  constructor(rule: number) {
    this.rule = rule;
  }
}

/** A request lies under few prefixes: up to here a list is quicker than a map. */
const LIST_MAX = 16;

/** Of one request, at most one for each rule. */
export class Claims {
  readonly list: Claim[] = [];
  private byRule: Map<number, Claim> | undefined = undefined;

  /** The claim under a rule, made when there is none. */
  of(rule: number): Claim {
    const known = this.find(rule);
    if (known !== undefined) return known;
    const claim = new Claim(rule);
    this.list.push(claim);
    if (this.byRule !== undefined) this.byRule.set(rule, claim);
    else if (this.list.length > LIST_MAX) this.byRule = new Map(this.list.map((each) => [each.rule, each]));
    return claim;
  }

  find(rule: number): Claim | undefined {
    if (this.byRule !== undefined) return this.byRule.get(rule);
    for (const claim of this.list) if (claim.rule === rule) return claim;
    return undefined;
  }
}

export function putClaims(usage: PrefixUsage, request: etcdserverpb.PutRequest): Claims {
  const claims = new Claims();
  addPut(usage, request, claims);
  return claims;
}

export function deleteClaims(usage: PrefixUsage, request: etcdserverpb.DeleteRangeRequest): Claims {
  const claims = new Claims();
  addDelete(usage, request, claims);
  return claims;
}

export function txnClaims(usage: PrefixUsage, request: etcdserverpb.TxnRequest): Claims {
  const dearer = branchClaims(usage, request.success);
  const other = branchClaims(usage, request.failure);
  for (const { rule } of other.list) dearer.of(rule);
  for (const claim of dearer.list) {
    const instead = other.find(claim.rule);
    claim.keys = Math.max(claim.keys, instead?.keys ?? 0);
    claim.bytes = Math.max(claim.bytes, instead?.bytes ?? 0);
    claim.writes = Math.max(claim.writes, instead?.writes ?? 0);
  }
  return dearer;
}

function branchClaims(usage: PrefixUsage, ops: readonly etcdserverpb.RequestOp[]): Claims {
  const claims = new Claims();
  for (const op of ops) {
    if (op.requestPut !== undefined) addPut(usage, op.requestPut, claims);
    else if (op.requestDeleteRange !== undefined) addDelete(usage, op.requestDeleteRange, claims);
    else if (op.requestTxn !== undefined)
      for (const inner of txnClaims(usage, op.requestTxn).list) {
        const claim = claims.of(inner.rule);
        claim.keys += inner.keys;
        claim.bytes += inner.bytes;
        claim.writes += inner.writes;
      }
  }
  return claims;
}

function addPut(usage: PrefixUsage, request: etcdserverpb.PutRequest, claims: Claims): void {
  const { set } = usage;
  const key = keyFromBytes(request.key);
  let rule = set.longest(key);
  if (rule < 0) return;
  const known = usage.valueLength(key);
  let bytes = 0;
  if (known === undefined) bytes = key.length + request.value.length;
  else if (!request.ignoreValue) bytes = request.value.length - known;
  for (; rule >= 0; rule = set.parent(rule)) {
    const claim = claims.of(rule);
    if (known === undefined) claim.keys++;
    claim.bytes += bytes;
    claim.writes++;
  }
}

function addDelete(usage: PrefixUsage, request: etcdserverpb.DeleteRangeRequest, claims: Claims): void {
  const key = keyFromBytes(request.key);
  const known = request.rangeEnd.length === 0 ? usage.valueLength(key) : undefined;
  usage.set.touching(key, keyFromBytes(request.rangeEnd), (rule) => {
    const claim = claims.of(rule);
    claim.writes++;
    if (known === undefined) return;
    claim.keys--;
    claim.bytes -= key.length + known;
  });
}
