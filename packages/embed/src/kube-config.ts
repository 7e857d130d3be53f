/** A kubeconfig as an object: kubectl's file, and what client libraries load. As JSON it is a kubeconfig file, too. */

export interface KubeConfig {
  readonly apiVersion: 'v1';
  readonly kind: 'Config';
  readonly clusters: readonly {
    readonly name: string;
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
  }[];
  readonly users: readonly {
    readonly name: string;
    readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string };
  }[];
  readonly contexts: readonly {
    readonly name: string;
    readonly context: { readonly cluster: string; readonly user: string };
  }[];
  readonly 'current-context': string;
  readonly preferences: Readonly<Record<string, never>>;
}

const CLUSTER = 'kubernetes';
const USER = 'kubernetes-admin';
const CONTEXT = `${USER}@${CLUSTER}`;

/**
 * @param server `https://127.0.0.1:6443`
 * @param authority PEM of who signed the server's certificate
 */
export function kubeConfigOf(
  server: string,
  authority: string,
  admin: { readonly certificate: string; readonly key: string },
): KubeConfig {
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: CLUSTER, cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [
      {
        name: USER,
        user: {
          'client-certificate-data': base64(admin.certificate),
          'client-key-data': base64(admin.key),
        },
      },
    ],
    contexts: [{ name: CONTEXT, context: { cluster: CLUSTER, user: USER } }],
    'current-context': CONTEXT,
    preferences: {},
  };
}
