/**
 * The text of a kubeconfig file: one cluster, one user, one context. Values are written as JSON strings, which
 * YAML reads as they are whatever they hold.
 */

/** How a user shows who he is. */
export type Credentials =
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | { readonly kind: 'token'; readonly token: string };

export interface KubeconfigFacts {
  readonly cluster: string;
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM; absent for a server without TLS. */
  readonly certificateAuthority?: string;
  readonly user: string;
  readonly credentials: Credentials;
  readonly namespace?: string;
}

/** The file's text (YAML). */
export function kubeconfig(facts: KubeconfigFacts): string {
  const { cluster, server, certificateAuthority, user, credentials, namespace } = facts;
  const context = `${user}@${cluster}`;
  const lines = [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- cluster:',
    ...(certificateAuthority === undefined
      ? []
      : [`    certificate-authority-data: ${base64(certificateAuthority)}`]),
    `    server: ${JSON.stringify(server)}`,
    `  name: ${JSON.stringify(cluster)}`,
    'contexts:',
    '- context:',
    `    cluster: ${JSON.stringify(cluster)}`,
    ...(namespace === undefined ? [] : [`    namespace: ${JSON.stringify(namespace)}`]),
    `    user: ${JSON.stringify(user)}`,
    `  name: ${JSON.stringify(context)}`,
    `current-context: ${JSON.stringify(context)}`,
    'preferences: {}',
    'users:',
    `- name: ${JSON.stringify(user)}`,
    '  user:',
    ...(credentials.kind === 'token'
      ? [`    token: ${JSON.stringify(credentials.token)}`]
      : [
          `    client-certificate-data: ${base64(credentials.certificate)}`,
          `    client-key-data: ${base64(credentials.key)}`,
        ]),
  ];
  return `${lines.join('\n')}\n`;
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
