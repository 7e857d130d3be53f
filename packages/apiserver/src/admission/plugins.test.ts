/** The plugins by data (test/testdata/admission), and the flags that choose them. */

import { describe, expect, test } from '@jest/globals';

import { differences, readAdmissionCases, runAdmissionCase } from '../../test/admission-cases.ts';
import { pluginContext } from '../../test/admission-cluster.ts';
import { defaultPlugins, PLUGIN_NAMES, pluginFlagErrors } from './default-plugins.ts';

const files = readAdmissionCases();

describe.each(files.map((file) => [file.plugin, file] as const))('%s', (_plugin, file) => {
  test.each(file.cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
    const { error, object, warnings, annotations } = await runAdmissionCase(file, one);
    if (one.refused === undefined) {
      expect(error?.message).toBeUndefined();
    } else {
      const { code = 403, reason = 'Forbidden', message, causes } = one.refused;
      expect(error?.status).toMatchObject({ code, reason, message });
      if (causes !== undefined) expect(error?.status.details?.causes).toEqual(causes);
    }
    if (one.after !== undefined) expect(differences(one.after, object)).toEqual([]);
    expect(warnings).toEqual(one.warnings ?? []);
    if (one.annotations !== undefined) expect(annotations).toEqual(one.annotations);
  });
});

test('every plugin that does something has cases', () => {
  const built = defaultPlugins(pluginContext(), { enable: PLUGIN_NAMES }).map(({ name }) => name);
  const webhooks = ['MutatingAdmissionWebhook', 'ValidatingAdmissionWebhook'];
  const covered = new Set(files.map(({ plugin }) => plugin));
  expect(built.filter((name) => !covered.has(name) && !webhooks.includes(name))).toEqual([]);
});

describe('flags', () => {
  const named = (enable: readonly string[], disable: readonly string[]): string[] =>
    defaultPlugins(pluginContext(), { enable, disable }).map(({ name }) => name);

  test('without any, those that are on by default, in their order', () => {
    const found = named([], []);
    expect(found).toEqual(PLUGIN_NAMES.filter((name) => found.includes(name)));
    expect(found.slice(0, 3)).toEqual(['NamespaceLifecycle', 'LimitRanger', 'ServiceAccount']);
    expect(found.at(-1)).toBe('ResourceQuota');
    expect(found).not.toContain('NodeRestriction');
  });

  test('what is enabled stands at its place, whatever the order of the flag', () => {
    const found = named(['AlwaysDeny', 'NodeRestriction'], []);
    expect(found.indexOf('NodeRestriction')).toBe(found.indexOf('ServiceAccount') + 1);
    expect(found.at(-1)).toBe('AlwaysDeny');
  });

  test('what is disabled is left out', () => {
    expect(named([], ['ServiceAccount', 'AlwaysPullImages'])).not.toContain('ServiceAccount');
  });

  test('what is unknown, and what is named twice, is told in the original’s words', () => {
    expect(
      pluginFlagErrors({
        enable: ['Priority', 'Nope', 'LimitRanger'],
        disable: ['LimitRanger', 'Other', 'Priority'],
      }),
    ).toEqual([
      'enable-admission-plugins plugin "Nope" is unknown',
      'disable-admission-plugins plugin "Other" is unknown',
      '[LimitRanger Priority] in enable-admission-plugins and disable-admission-plugins overlapped',
    ]);
    expect(() => named(['Nope'], [])).toThrow('enable-admission-plugins plugin "Nope" is unknown');
  });

  test('the older flag names all there shall be, and stands alone', () => {
    const only = ['AlwaysPullImages', 'NamespaceLifecycle'];
    expect(defaultPlugins(pluginContext(), { only }).map(({ name }) => name)).toEqual(only.toReversed());
    expect(pluginFlagErrors({ only: ['Nope', 'Priority'], disable: ['Priority'] })).toEqual([
      'admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive',
      'admission-control plugin "Nope" is unknown',
    ]);
  });
});
