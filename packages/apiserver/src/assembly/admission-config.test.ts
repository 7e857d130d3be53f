/** The file of --admission-control-config-file: which of its parts are read strictly, as in the original. */

import { expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { HttpsCaller } from '../outbound/https-caller.ts';
import { admissionSettings } from './admission-config.ts';

const HEAD = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n';
const CONFIG = 'apiserver.config.k8s.io/v1';
const SECURITY = 'pod-security.admission.config.k8s.io/v1';

function settingsOf(files: Readonly<Record<string, string>>): ReturnType<typeof admissionSettings> {
  return admissionSettings({
    config: {
      notReadyTolerationSeconds: 1,
      unreachableTolerationSeconds: 2,
      admissionFile: '/etc/admission',
    },
    readFile: (path) => files[path] ?? '',
    programs: { run: () => Promise.resolve({ kind: 'missing' }), nowMs: () => 0 },
    caller: new HttpsCaller(systemClock),
    clock: systemClock,
    signal: new AbortController().signal,
  });
}

const plugin = (name: string, configuration: object): string =>
  `${HEAD}plugins: ${JSON.stringify([{ name, configuration }])}\n`;

test('what a file says of a plugin, within it or beside it', () => {
  const kind = { apiVersion: SECURITY, kind: 'PodSecurityConfiguration' };
  const inside = plugin('PodSecurity', { ...kind, defaults: { enforce: 'baseline' } });
  expect(settingsOf({ '/etc/admission': inside }).settings.podSecurity?.defaults).toEqual({
    enforce: 'baseline',
  });
  const { settings } = settingsOf({
    '/etc/admission': `${HEAD}plugins:\n- {name: PodSecurity, path: pods}\n`,
    '/etc/pods': JSON.stringify({ ...kind, exemptions: { namespaces: ['kube-system'] } }),
  });
  expect(settings.podSecurity?.exemptions?.namespaces).toEqual(['kube-system']);
});

test.each<[string, Readonly<Record<string, string>>, string]>([
  [
    'a word of the file',
    { '/etc/admission': `${HEAD}plugin: []\n` },
    'failed to read plugin config: strict decoding error: unknown field "plugin"',
  ],
  [
    'a word of a plugin in it',
    { '/etc/admission': `${HEAD}plugins:\n- {name: PodSecurity, config: {}}\n` },
    'failed to read plugin config: strict decoding error: unknown field "plugins[0].config"',
  ],
  [
    'a level that nobody enforces',
    {
      '/etc/admission': plugin('PodSecurity', {
        apiVersion: SECURITY,
        kind: 'PodSecurityConfiguration',
        defaults: { enforced: 'restricted' },
      }),
    },
    `couldn't init admission plugin "PodSecurity": strict decoding error: unknown field "defaults.enforced"`,
  ],
  [
    'a word of webhooks',
    {
      '/etc/admission': plugin('ValidatingAdmissionWebhook', {
        apiVersion: CONFIG,
        kind: 'WebhookAdmissionConfiguration',
        kubeconfigFile: '/k',
      }),
    },
    `couldn't init admission plugin "ValidatingAdmissionWebhook": strict decoding error: unknown field "kubeconfigFile"`,
  ],
  [
    'a key twice, in a file beside it',
    {
      '/etc/admission': `${HEAD}plugins:\n- {name: ResourceQuota, path: quota}\n`,
      '/etc/quota': `apiVersion: ${CONFIG}\nkind: ResourceQuotaConfiguration\nlimitedResources: []\nlimitedResources: []\n`,
    },
    `couldn't init admission plugin "ResourceQuota": strict decoding error: yaml: unmarshal errors:\n  line 4: key "limitedResources" already set in map`,
  ],
])('%s is refused', (_name, files, message) => {
  expect(() => settingsOf(files)).toThrow(expect.objectContaining({ message }));
});
