/**
 * What a request would add under each prefix, reckoned before it is proposed: keys, bytes, and writes for the rate. Of a
 * transaction the dearer branch counts, prefix by prefix, since which one runs is known only when it is applied. A put
 * of a key that exists adds what its value grows by. What a request takes away is told beside what it adds, each key
 * once; deletes of ranges give nothing back in advance, because what they cover is counted only when they are applied.
 */
import { keyFromBytes } from '@keelson/base';
import type { etcdserverpb } from '@keelson/proto';
import type { PrefixUsage } from './usage.ts';

/** Under one prefix. */
export class Claim {
  readonly rule: number;
  /** Added. */
  keys = 0;
  bytes = 0;
  /** Taken away by the same request. */
  keysBack = 0;
  bytesBack = 0;
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
  /** Keys of which something is given back. */
  readonly taken: Set<string>;
  /** Whether it was let in on account of that; the ledger's. */
  credited = false;
  private byRule: Map<number, Claim> | undefined = undefined;

  /** @param taken keys that other parts of the request give back already */
  constructor(taken: Iterable<string> = []) {
    this.taken = new Set(taken);
  }

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
  return dearerClaims(usage, request, []);
}

function dearerClaims(usage: PrefixUsage, request: etcdserverpb.TxnRequest, taken: Iterable<string>): Claims {
  const dearer = branchClaims(usage, request.success, taken);
  const other = branchClaims(usage, request.failure, taken);
  for (const { rule } of other.list) dearer.of(rule);
  for (const claim of dearer.list) {
    const instead = other.find(claim.rule) ?? new Claim(claim.rule);
    const keys = Math.max(claim.keys - claim.keysBack, instead.keys - instead.keysBack);
    const bytes = Math.max(claim.bytes - claim.bytesBack, instead.bytes - instead.bytesBack);
    claim.keys = Math.max(claim.keys, instead.keys);
    claim.bytes = Math.max(claim.bytes, instead.bytes);
    claim.keysBack = claim.keys - keys;
    claim.bytesBack = claim.bytes - bytes;
    claim.writes = Math.max(claim.writes, instead.writes);
  }
  for (const key of other.taken) dearer.taken.add(key);
  return dearer;
}

function branchClaims(
  usage: PrefixUsage,
  ops: readonly etcdserverpb.RequestOp[],
  taken: Iterable<string>,
): Claims {
  const claims = new Claims(taken);
  for (const op of ops) {
    if (op.requestPut !== undefined) addPut(usage, op.requestPut, claims);
    else if (op.requestDeleteRange !== undefined) addDelete(usage, op.requestDeleteRange, claims);
    else if (op.requestTxn !== undefined) {
      const inner = dearerClaims(usage, op.requestTxn, claims.taken);
      for (const { rule, keys, bytes, keysBack, bytesBack, writes } of inner.list) {
        const claim = claims.of(rule);
        claim.keys += keys;
        claim.bytes += bytes;
        claim.keysBack += keysBack;
        claim.bytesBack += bytesBack;
        claim.writes += writes;
      }
      for (const key of inner.taken) claims.taken.add(key);
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
  const back = bytes < 0 && takes(claims, key);
  for (; rule >= 0; rule = set.parent(rule)) {
    const claim = claims.of(rule);
    if (known === undefined) claim.keys++;
    if (bytes > 0) claim.bytes += bytes;
    else if (back) claim.bytesBack -= bytes;
    claim.writes++;
  }
}

function addDelete(usage: PrefixUsage, request: etcdserverpb.DeleteRangeRequest, claims: Claims): void {
  const key = keyFromBytes(request.key);
  const known = request.rangeEnd.length === 0 ? usage.valueLength(key) : undefined;
  const back = known !== undefined && takes(claims, key);
  usage.set.touching(key, keyFromBytes(request.rangeEnd), (rule) => {
    const claim = claims.of(rule);
    claim.writes++;
    if (!back) return;
    claim.keysBack++;
    claim.bytesBack += key.length + known;
  });
}

/** Whether the request gives this key back for the first time: a transaction may delete it again and again. */
function takes({ taken }: Claims, key: string): boolean {
  if (taken.has(key)) return false;
  taken.add(key);
  return true;
}
