/**
 * AuthenticationConfiguration (`--authentication-config`): the issuers of tokens that are trusted, what of a token
 * becomes the user, and where nobody is let in by name. Reads what a file said, checked as the original checks it.
 * Mappings and rules in CEL are compiled here (claim-expressions.ts).
 *
 * Modelled on apiserver's apis/apiserver AuthenticationConfiguration and its validation, texts included.
 */

import { X509Certificate } from 'node:crypto';

import type { JsonObject } from '../api/json.ts';
import { configNames, readConfigFile, type ConfigKind } from '../codec/config-file.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { flag, has, part, parts, text, textOf, texts } from '../validation/value.ts';
import { checkDomainPath } from '../validation/names.ts';
import type { AnonymousPolicy } from './authenticator.ts';
import {
  ClaimCompiler,
  readsClaim,
  type ClaimExpressions,
  type Expression,
  type Rule,
} from './claim-expressions.ts';
import { OidcTokens } from './oidc.ts';
import type { VerificationKey } from './jwt.ts';

/** One issuer and what its tokens say. */
export interface JwtIssuer {
  /** `https://…`, as tokens carry it. */
  readonly url: string;
  /** Where its discovery document is, where that is elsewhere. */
  readonly discoveryUrl: string | undefined;
  /** PEM of whom to trust when its keys are fetched; the system's authorities without. */
  readonly certificateAuthority: string | undefined;
  /** A token must be for one of them. */
  readonly audiences: readonly string[];
  /** Claims that a token must have, with their values. */
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly username: { readonly claim: string; readonly prefix: string };
  readonly groups: { readonly claim: string; readonly prefix: string } | undefined;
  readonly uidClaim: string | undefined;
  readonly expressions: ClaimExpressions;
}

export interface AuthenticationConfig {
  readonly jwt: readonly JwtIssuer[];
  /** Undefined where the file says nothing: the flag counts. */
  readonly anonymous: AnonymousPolicy | undefined;
}

/** The file and its parts; the form of the lines is schema/type-table.ts's. */
const CONFIG: ConfigKind = {
  names: configNames('AuthenticationConfiguration', ['v1', 'v1beta1', 'v1alpha1']),
  types: `apiserver.v1.AuthenticationConfiguration	:meta.v1.TypeMeta:0	jwt:[apiserver.v1.JWTAuthenticator:1	anonymous:apiserver.v1.AnonymousAuthConfig:2*?
apiserver.v1.AnonymousAuthConfig	enabled:b:1	conditions:[apiserver.v1.AnonymousAuthCondition:2?
apiserver.v1.AnonymousAuthCondition	path:s:1
apiserver.v1.JWTAuthenticator	issuer:apiserver.v1.Issuer:1	claimValidationRules:[apiserver.v1.ClaimValidationRule:2?	claimMappings:apiserver.v1.ClaimMappings:3	userValidationRules:[apiserver.v1.UserValidationRule:4?
apiserver.v1.Issuer	url:s:1	discoveryURL:s:2*?	certificateAuthority:s:3?	audiences:[s:4	audienceMatchPolicy:s:5?~go=v1.AudienceMatchPolicyType	egressSelectorType:s:6?~go=v1.EgressSelectorType
apiserver.v1.ClaimValidationRule	claim:s:1?	requiredValue:s:2?	expression:s:3?	message:s:4?
apiserver.v1.ClaimMappings	username:apiserver.v1.PrefixedClaimOrExpression:1	groups:apiserver.v1.PrefixedClaimOrExpression:2?	uid:apiserver.v1.ClaimOrExpression:3	extra:[apiserver.v1.ExtraMapping:4?
apiserver.v1.PrefixedClaimOrExpression	claim:s:1?	prefix:s:2*?	expression:s:3?
apiserver.v1.ClaimOrExpression	claim:s:1?	expression:s:2?
apiserver.v1.ExtraMapping	key:s:1	valueExpression:s:2
apiserver.v1.UserValidationRule	expression:s:1	message:s:2?`,
};
const ISSUERS_MAX = 64;
/** All that may sign, unlike with the flags. */
const ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512'],
];
const BOTH = "claim and expression can't both be set";
const NEITHER = 'claim or expression is required';
const NO_PREFIX =
  'prefix is required when claim is set. It can be set to an empty string to disable prefixing';
const WITH_EXPRESSION = 'may not be specified when expression is set';
const VERIFY_EMAIL =
  'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression';
const RESERVED = 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use';

/**
 * @param file its text
 * @param ownIssuers of the server's service accounts, which nobody else may be
 * @throws Error that names every field which is wrong
 */
export function readAuthenticationConfig(file: string, ownIssuers: readonly string[]): AuthenticationConfig {
  if (file === '') throw new Error('empty config data');
  const value = readConfigFile(file, CONFIG);
  const errors = new FieldErrors();
  const at = FieldPath.of('jwt');
  const list = parts(value, 'jwt');
  if (list.length > ISSUERS_MAX) errors.tooMany(at, list.length, ISSUERS_MAX);
  const seen = new Set<string>();
  let compiler: ClaimCompiler | undefined;
  const issuer = (one: JsonObject, index: number): JwtIssuer =>
    issuerOf(errors, at.index(index), one, ownIssuers, seen, () => (compiler ??= new ClaimCompiler()));
  const jwt = list.map(issuer);
  checkDiscovery(errors, at, jwt);
  const anonymous = anonymousOf(errors, value);
  if (errors.size > 0) {
    const wrong = errors.list.map(({ field, body }) => `${field}: ${body}`);
    throw new Error(wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`);
  }
  return { jwt, anonymous };
}

/** The authenticator of an issuer's tokens. @param keys of the issuer, fetched by the caller */
export function jwtTokens(
  issuer: JwtIssuer,
  keys: (refresh: boolean) => Promise<readonly VerificationKey[]>,
  nowMs: () => number,
): OidcTokens {
  const { url, audiences, requiredClaims, username, groups, uidClaim, expressions } = issuer;
  return new OidcTokens({
    issuer: url,
    audiences,
    requiredClaims,
    expressions,
    usernameClaim: username.claim,
    usernamePrefix: username.prefix,
    ...(groups === undefined ? {} : { groupsClaim: groups.claim, groupsPrefix: groups.prefix }),
    ...(uidClaim === undefined ? {} : { uidClaim }),
    algorithms: ALGORITHMS,
    keys,
    nowMs,
  });
}

function issuerOf(
  errors: FieldErrors,
  path: FieldPath,
  jwt: JsonObject,
  ownIssuers: readonly string[],
  seen: Set<string>,
  compiler: () => ClaimCompiler,
): JwtIssuer {
  const issuer = part(jwt, 'issuer');
  const at = path.child('issuer');
  const url = text(issuer, 'url');
  checkUrl(errors, at.child('url'), url, true);
  if (ownIssuers.includes(url)) {
    errors.invalid(
      at.child('url'),
      url,
      `URL must not overlap with disallowed issuers: [${ownIssuers.join(' ')}]`,
    );
  }
  if (url !== '' && seen.has(url)) errors.duplicate(at.child('url'), url);
  seen.add(url);
  const discoveryUrl = text(issuer, 'discoveryURL');
  if (discoveryUrl !== '') {
    if (url !== '' && withoutSlashes(discoveryUrl) === withoutSlashes(url)) {
      errors.invalid(at.child('discoveryURL'), discoveryUrl, 'discoveryURL must be different from URL');
    }
    checkUrl(errors, at.child('discoveryURL'), discoveryUrl, false);
  }
  const certificateAuthority = text(issuer, 'certificateAuthority');
  checkCertificate(errors, at.child('certificateAuthority'), certificateAuthority);
  const claimMappings = part(jwt, 'claimMappings');
  const mappings = path.child('claimMappings');
  const within: Within = { errors, compiler };
  const { requiredClaims, claimRules } = claimRulesOf(within, path.child('claimValidationRules'), jwt);
  const username = mappingOf(within, mappings.child('username'), part(claimMappings, 'username'), true);
  const groups = mappingOf(within, mappings.child('groups'), part(claimMappings, 'groups'), false);
  const uid = uidOf(within, mappings.child('uid'), part(claimMappings, 'uid'));
  const extra = extraOf(within, mappings.child('extra'), claimMappings);
  const expressions: ClaimExpressions = {
    ...(username.expression === undefined ? {} : { username: username.expression }),
    ...(groups.expression === undefined ? {} : { groups: groups.expression }),
    ...(uid.expression === undefined ? {} : { uid: uid.expression }),
    extra,
    claimRules,
    userRules: userRulesOf(within, path.child('userValidationRules'), jwt),
  };
  checkEmail(errors, mappings.child('username', 'expression'), expressions);
  return {
    url,
    discoveryUrl: discoveryUrl === '' ? undefined : discoveryUrl,
    certificateAuthority: certificateAuthority === '' ? undefined : certificateAuthority,
    audiences: audiencesOf(errors, at, issuer),
    requiredClaims,
    username: username.claim ?? { claim: '', prefix: '' },
    groups: groups.claim,
    uidClaim: uid.claim,
    expressions,
  };
}

function withoutSlashes(url: string): string {
  return url.replace(/\/+$/, '');
}

/** Two issuers whose keys came from one place would be one. */
function checkDiscovery(errors: FieldErrors, path: FieldPath, issuers: readonly JwtIssuer[]): void {
  const seen = new Set<string>();
  for (const [index, { discoveryUrl }] of issuers.entries()) {
    if (discoveryUrl === undefined) continue;
    if (seen.has(discoveryUrl))
      errors.duplicate(path.index(index).child('issuer', 'discoveryURL'), discoveryUrl);
    seen.add(discoveryUrl);
  }
}

/** Who takes a name from an unverified address lets anybody be anybody. */
function checkEmail(errors: FieldErrors, path: FieldPath, expressions: ClaimExpressions): void {
  const { username, extra, claimRules } = expressions;
  if (username === undefined || !readsClaim(username, 'email')) return;
  const all = [username, ...extra.map(([, expression]) => expression), ...claimRules];
  if (all.some((one) => readsClaim(one, 'email_verified'))) return;
  errors.invalid(path, username.source, VERIFY_EMAIL);
}

function checkUrl(errors: FieldErrors, path: FieldPath, url: string, required: boolean): void {
  if (url === '') {
    if (required) errors.required(path, 'URL is required');
    return;
  }
  if (!URL.canParse(url)) {
    errors.invalid(path, url, 'is no URL');
    return;
  }
  const { protocol, username, password, search, hash } = new URL(url);
  if (protocol !== 'https:') errors.invalid(path, url, 'URL scheme must be https');
  if (username !== '' || password !== '') {
    errors.invalid(path, url, 'URL must not contain a username or password');
  }
  if (search !== '') errors.invalid(path, url, 'URL must not contain a query');
  if (hash !== '') errors.invalid(path, url, 'URL must not contain a fragment');
}

function checkCertificate(errors: FieldErrors, path: FieldPath, pem: string): void {
  if (pem === '') return;
  try {
    void new X509Certificate(pem).subject;
  } catch {
    errors.invalid(path, '<omitted>', 'data does not contain any valid RSA or ECDSA certificates');
  }
}

function audiencesOf(errors: FieldErrors, path: FieldPath, issuer: JsonObject): readonly string[] {
  const audiences = texts(issuer, 'audiences');
  const at = path.child('audiences');
  if (audiences.length === 0) errors.required(at, `at least one ${at.toString()} is required`);
  for (const [index, audience] of audiences.entries()) {
    if (audience === '') errors.required(at.index(index), "audience can't be empty");
    else if (audiences.indexOf(audience) < index) errors.duplicate(at.index(index), audience);
  }
  const policy = text(issuer, 'audienceMatchPolicy');
  const policyPath = path.child('audienceMatchPolicy');
  if (audiences.length > 1 && policy !== 'MatchAny') {
    errors.invalid(policyPath, policy, 'audienceMatchPolicy must be MatchAny for multiple audiences');
  }
  if (audiences.length === 1 && policy !== '' && policy !== 'MatchAny') {
    errors.invalid(policyPath, policy, 'audienceMatchPolicy must be empty or MatchAny for single audience');
  }
  return audiences;
}

/** Where errors go, and what compiles; made when the first expression comes. */
interface Within {
  readonly errors: FieldErrors;
  readonly compiler: () => ClaimCompiler;
}

function claimRulesOf(
  { errors, compiler }: Within,
  path: FieldPath,
  jwt: JsonObject,
): { readonly requiredClaims: Readonly<Record<string, string>>; readonly claimRules: readonly Rule[] } {
  const required = new Map<string, string>();
  const claimRules: Rule[] = [];
  const seen = new Set<string>();
  for (const [index, rule] of parts(jwt, 'claimValidationRules').entries()) {
    const at = path.index(index);
    const claim = text(rule, 'claim');
    const source = text(rule, 'expression');
    const message = text(rule, 'message');
    if (claim !== '' && source !== '') errors.invalid(at, claim, BOTH);
    else if (claim === '' && source === '') errors.required(at, NEITHER);
    else if (claim !== '') {
      if (message !== '') {
        errors.invalid(at.child('message'), message, 'may not be specified when claim is set');
      }
      if (required.has(claim)) errors.duplicate(at.child('claim'), claim);
      required.set(claim, text(rule, 'requiredValue'));
    } else {
      const value = text(rule, 'requiredValue');
      if (value !== '') errors.invalid(at.child('requiredValue'), value, WITH_EXPRESSION);
      const where = at.child('expression');
      if (seen.has(source)) errors.duplicate(where, source);
      else {
        const found = expressionOf(errors, where, source, compiler().claimRule(source));
        if (found !== undefined) claimRules.push({ ...found, message });
      }
      seen.add(source);
    }
  }
  return { requiredClaims: Object.fromEntries(required), claimRules };
}

function userRulesOf({ errors, compiler }: Within, path: FieldPath, jwt: JsonObject): readonly Rule[] {
  const rules: Rule[] = [];
  const seen = new Set<string>();
  for (const [index, rule] of parts(jwt, 'userValidationRules').entries()) {
    const at = path.index(index).child('expression');
    const source = text(rule, 'expression');
    if (source === '') errors.required(at);
    else if (seen.has(source)) errors.duplicate(at, source);
    else {
      const found = expressionOf(errors, at, source, compiler().userRule(source));
      if (found !== undefined) rules.push({ ...found, message: text(rule, 'message') });
    }
    seen.add(source);
  }
  return rules;
}

function expressionOf(
  errors: FieldErrors,
  path: FieldPath,
  source: string,
  found: Expression | string,
): Expression | undefined {
  if (typeof found !== 'string') return found;
  errors.invalid(path, source, found);
  return undefined;
}

interface Mapping {
  readonly claim?: { readonly claim: string; readonly prefix: string };
  readonly expression?: Expression;
}

/** A claim with its prefix, or an expression; neither where there is none and none is needed. */
function mappingOf(
  { errors, compiler }: Within,
  path: FieldPath,
  mapping: JsonObject,
  required: boolean,
): Mapping {
  const claim = text(mapping, 'claim');
  const source = text(mapping, 'expression');
  const prefix = textOf(mapping, 'prefix');
  if (claim !== '' && source !== '') errors.invalid(path, '', BOTH);
  else if (source !== '') {
    if (prefix !== undefined) errors.invalid(path.child('prefix'), prefix, WITH_EXPRESSION);
    const expression = expressionOf(errors, path.child('expression'), source, compiler().mapping(source));
    return expression === undefined ? {} : { expression };
  } else if (claim === '') {
    if (required) errors.required(path, NEITHER);
  } else if (prefix === undefined) errors.required(path.child('prefix'), NO_PREFIX);
  return claim === '' ? {} : { claim: { claim, prefix: prefix ?? '' } };
}

function uidOf(
  { errors, compiler }: Within,
  path: FieldPath,
  uid: JsonObject,
): { readonly claim: string | undefined; readonly expression?: Expression } {
  const claim = text(uid, 'claim') || undefined;
  const source = text(uid, 'expression');
  if (source === '') return { claim };
  if (claim !== undefined) {
    errors.invalid(path, '', BOTH);
    return { claim };
  }
  const expression = expressionOf(errors, path.child('expression'), source, compiler().mapping(source));
  return { claim: undefined, ...(expression === undefined ? {} : { expression }) };
}

function extraOf(
  { errors, compiler }: Within,
  path: FieldPath,
  claimMappings: JsonObject,
): ClaimExpressions['extra'] {
  const extra: [string, Expression][] = [];
  const seen = new Set<string>();
  for (const [index, mapping] of parts(claimMappings, 'extra').entries()) {
    const at = path.index(index);
    const key = text(mapping, 'key');
    const source = text(mapping, 'valueExpression');
    checkDomainPath(errors, at.child('key'), key);
    if (key !== key.toLowerCase()) errors.invalid(at.child('key'), key, 'must be lowercase');
    if (/^([^/]*\.)?(kubernetes|k8s)\.io\//.test(key)) errors.invalid(at.child('key'), key, RESERVED);
    if (seen.has(key)) errors.duplicate(at.child('key'), key);
    else if (source === '') errors.required(at.child('valueExpression'));
    else {
      const where = at.child('valueExpression');
      const found = expressionOf(errors, where, source, compiler().mapping(source));
      if (found !== undefined) extra.push([key, found]);
    }
    seen.add(key);
  }
  return extra;
}

function anonymousOf(errors: FieldErrors, value: JsonObject): AnonymousPolicy | undefined {
  if (!has(value, 'anonymous')) return undefined;
  const anonymous = part(value, 'anonymous');
  const at = FieldPath.of('anonymous', 'conditions');
  const enabled = flag(anonymous, 'enabled');
  const conditions = parts(anonymous, 'conditions');
  if (!enabled && conditions.length > 0) {
    errors.invalid(at, conditions, 'enabled should be set to true when conditions are defined');
  }
  const paths = conditions.map((condition) => text(condition, 'path'));
  for (const [index, path] of paths.entries()) {
    if (path === '') errors.required(at.index(index).child('path'));
  }
  return { enabled, ...(paths.length === 0 ? {} : { paths }) };
}
