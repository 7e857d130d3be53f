/** CertificateSigningRequests as the loops see them: conditions, spec, and what kubelets' requests must say. Pure. */

import { isRecord, type KubeObject, type Resource } from '@keelson/kube-client';

export const CERTIFICATE_REQUESTS: Resource = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
};

export const SIGNER = {
  client: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
  legacy: 'kubernetes.io/legacy-unknown',
} as const;

export type SignerName = (typeof SIGNER)[keyof typeof SIGNER];

/** The names that a request (PKCS #10) is made out to. */
export interface RequestNames {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly addresses: readonly string[];
  readonly uris: readonly string[];
}

/** @param encoded spec.request, base64 of the PEM. @throws Error for what is no request */
export type ReadRequest = (encoded: string) => RequestNames;

export interface RequestSpec {
  readonly request: string;
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly username: string;
  readonly expirationSeconds: number | undefined;
}

export function specOf(object: KubeObject): RequestSpec {
  const spec = isRecord(object['spec']) ? object['spec'] : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const { expirationSeconds, usages } = spec;
  return {
    request: text(spec['request']),
    signerName: text(spec['signerName']),
    username: text(spec['username']),
    usages: Array.isArray(usages) ? usages.map((one: unknown) => text(one)) : [],
    expirationSeconds: typeof expirationSeconds === 'number' ? expirationSeconds : undefined,
  };
}

function statusOf(object: KubeObject): Readonly<Record<string, unknown>> {
  return isRecord(object['status']) ? object['status'] : {};
}

/** base64 of the PEM; empty while none is issued. */
export function certificateOf(object: KubeObject): string {
  const { certificate } = statusOf(object);
  return typeof certificate === 'string' ? certificate : '';
}

export function conditionsOf(object: KubeObject): readonly Readonly<Record<string, unknown>>[] {
  const { conditions } = statusOf(object);
  return Array.isArray(conditions) ? conditions.filter((one: unknown) => isRecord(one)) : [];
}

export function hasTrue(object: KubeObject, type: string): boolean {
  return conditionsOf(object).some((one) => one['type'] === type && one['status'] === 'True');
}

/** The object with one condition more and, where it is given, a certificate. */
export function withStatus(
  object: KubeObject,
  change: { readonly condition?: Readonly<Record<string, unknown>>; readonly certificate?: string },
): KubeObject {
  const { condition, certificate } = change;
  return {
    ...object,
    status: {
      ...statusOf(object),
      ...(condition === undefined ? {} : { conditions: [...conditionsOf(object), condition] }),
      ...(certificate === undefined ? {} : { certificate }),
    },
  };
}

/** RFC 3339 in whole seconds. */
export function timeText(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

const NODES = 'system:nodes';
const NODE_PREFIX = 'system:node:';

/** What is wrong with a request for a certificate by which a kubelet is a client; undefined for nothing. */
export function kubeletClientError(names: RequestNames, usages: readonly string[]): string | undefined {
  if (names.organizations.length !== 1 || names.organizations[0] !== NODES)
    return 'subject organization is not system:nodes';
  if (names.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (names.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (names.addresses.length > 0) return 'IP subjectAltNames are not allowed';
  if (names.uris.length > 0) return 'URI subjectAltNames are not allowed';
  if (!names.commonName.startsWith(NODE_PREFIX))
    return 'subject common name does not begin with system:node:';
  return usagesError(usages, 'client auth');
}

/** What is wrong with a request for a certificate by which a kubelet is a server; undefined for nothing. */
export function kubeletServingError(names: RequestNames, usages: readonly string[]): string | undefined {
  if (names.organizations.length !== 1 || names.organizations[0] !== NODES)
    return 'subject organization is not system:nodes';
  if (names.dnsNames.length === 0 && names.addresses.length === 0)
    return 'DNS or IP subjectAltName is required';
  if (names.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (names.uris.length > 0) return 'URI subjectAltNames are not allowed';
  const wrong = usagesError(usages, 'server auth');
  if (wrong !== undefined) return wrong;
  return names.commonName.startsWith(NODE_PREFIX)
    ? undefined
    : 'subject common name does not begin with system:node:';
}

/** Signatures and the role; a key for RSA may encipher too. */
function usagesError(usages: readonly string[], role: 'client auth' | 'server auth'): string | undefined {
  const asked = new Set(usages);
  const needed = ['digital signature', role];
  const fits =
    needed.every((one) => asked.has(one)) &&
    (asked.size === 2 || (asked.size === 3 && asked.has('key encipherment')));
  if (fits) return undefined;
  return `usages did not match [${[...needed, 'key encipherment'].toSorted().join(' ')}]`;
}

/** What is wrong with the usages of a client's certificate; undefined for nothing. */
export function clientError(usages: readonly string[]): string | undefined {
  const other = usages.find((one) => !['client auth', 'digital signature', 'key encipherment'].includes(one));
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  if (!usages.includes('client auth')) return 'missing required usage for client certificate: client auth';
  return undefined;
}
