/**
 * One member as the cluster knows it, and its JSON forms: etcd keeps exactly this JSON in the members
 * bucket, in the context of membership entries on the log, in the v2 tree of a .snap file and on
 * GET /members (etcd: server/etcdserver/api/membership/member.go). Ids are bare uint64 numbers there,
 * beyond what JSON.parse keeps, so they are read and written as source text.
 */
export interface Member {
  readonly id: bigint;
  /** Where peers reach it; never empty. */
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has started and published itself. */
  readonly name: string;
  readonly clientUrls: readonly string[];
}

/** The context of a membership entry. */
export interface MemberChange {
  readonly member: Member;
  /** A learner becomes a voter; the change type on the log is then AddNode for an id that is known. */
  readonly isPromote: boolean;
}

interface RawJson {
  rawJSON(text: string): unknown;
}
type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown;

/** A uint64 as a bare JSON number of any size. */
export function jsonUint64(value: bigint): unknown {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's types do not know rawJSON yet
  return (JSON as unknown as RawJson).rawJSON(BigInt.asUintN(64, value).toString());
}

/** JSON.parse that gives the number fields called `field` as bigint. */
export function parseWithUint64(text: string, field: string): unknown {
  const reviver: Reviver = (key, value, context) =>
    key === field && typeof value === 'number' ? BigInt(context?.source ?? value) : value;
  return JSON.parse(text, reviver);
}

/** The fields of {@link Member} in Go's order and omission rules. */
export function memberJson(member: Member): Record<string, unknown> {
  return {
    id: jsonUint64(member.id),
    ...raftAttributesJson(member),
    ...attributesJson(member),
  };
}

export function raftAttributesJson(member: Member): Record<string, unknown> {
  return { peerURLs: member.peerUrls, ...(member.isLearner ? { isLearner: true } : {}) };
}

export function attributesJson(member: Member): Record<string, unknown> {
  return {
    ...(member.name === '' ? {} : { name: member.name }),
    ...(member.clientUrls.length === 0 ? {} : { clientURLs: member.clientUrls }),
  };
}

export function encodeMember(member: Member): Buffer {
  return Buffer.from(JSON.stringify(memberJson(member)));
}

export function encodeMemberChange(change: MemberChange): Buffer {
  return Buffer.from(JSON.stringify({ ...memberJson(change.member), isPromote: change.isPromote }));
}

/** @throws Error naming what is wrong with the JSON */
export function decodeMember(bytes: Buffer): Member {
  return decodeMemberChange(bytes).member;
}

/** A list of members, as GET /members gives it. @throws Error naming what is wrong with the JSON */
export function decodeMembers(text: string): Member[] {
  const value = parseWithUint64(text, 'id');
  if (!Array.isArray(value)) throw new Error('members: not a JSON list');
  return value.map((each: unknown) => memberChangeOf(each).member);
}

/** @throws Error naming what is wrong with the JSON */
export function decodeMemberChange(bytes: Buffer): MemberChange {
  return memberChangeOf(parseWithUint64(bytes.toString('utf8'), 'id'));
}

function memberChangeOf(value: unknown): MemberChange {
  if (typeof value !== 'object' || value === null) throw new Error('member: not a JSON object');
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return { member: memberOf(fields), isPromote: fields['isPromote'] === true };
}

/** A member from the fields of its JSON, `id` as bigint. @throws Error naming what is wrong with them */
export function memberOf(fields: Readonly<Record<string, unknown>>): Member {
  if (typeof fields['id'] !== 'bigint') throw new Error('member: no id');
  return {
    id: BigInt.asUintN(64, fields['id']),
    peerUrls: strings(fields['peerURLs'], 'peerURLs'),
    isLearner: fields['isLearner'] === true,
    name: typeof fields['name'] === 'string' ? fields['name'] : '',
    clientUrls: strings(fields['clientURLs'], 'clientURLs'),
  };
}

function strings(value: unknown, field: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw new Error(`member: ${field} is not a list of strings`);
  return value;
}
