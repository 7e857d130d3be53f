/** Each control of the Pod Security Standards both ways, by data, and how the levels are made of them. */

import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { JsonObject } from '../../api/json.ts';
import { readYaml } from '../../codec/yaml.ts';
import { BASELINE_CONTROLS } from './baseline.ts';
import { detailText, findingsOf } from './evaluate.ts';
import { checkOf, type PodView } from './finding.ts';
import { defaultPolicy, levelText, policyOf } from './level.ts';
import { RESTRICTED_CONTROLS } from './restricted.ts';

interface ControlCase {
  readonly minor?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: JsonObject;
  readonly finds?: string;
}

interface ControlCases {
  readonly control: string;
  readonly cases: readonly ControlCase[];
}

const CONTROLS = [...BASELINE_CONTROLS, ...RESTRICTED_CONTROLS];
const file = new URL('../../../test/testdata/admission/controls/pod-security.yaml', import.meta.url);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the data's form is the interface above
const tables = readYaml(readFileSync(file, 'utf8')) as unknown as readonly ControlCases[];

describe.each(tables.map((table) => [table.control, table] as const))('%s', (name, { cases }) => {
  test.each(cases.map((one, index) => [index, one] as const))('case %i', (_index, one) => {
    const control = CONTROLS.find((each) => each.name === name);
    if (control === undefined) throw new Error(`no control ${name}`);
    const pod: PodView = { annotations: one.annotations ?? {}, spec: one.spec ?? {} };
    const found = checkOf(control, one.minor ?? Infinity)?.(pod);
    expect(found === undefined ? undefined : detailText([found])).toBe(one.finds);
  });
});

test('each control has a case that it finds and one that it lets be', () => {
  const lacking = CONTROLS.filter(({ name }) => {
    const cases = tables.find((table) => table.control === name)?.cases ?? [];
    return !cases.some(({ finds }) => finds !== undefined) || cases.every(({ finds }) => finds !== undefined);
  });
  expect(lacking.map(({ name }) => name)).toEqual([]);
});

test('a pod that keeps to the strictest level, in every version', () => {
  const spec = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      { name: 'a', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
    ],
  };
  for (let minor = 0; minor <= 40; minor += 1) {
    expect(findingsOf({ level: 'restricted', minor }, { annotations: {}, spec })).toEqual([]);
  }
});

test('the restricted level tells what its own controls say better only once, baseline first', () => {
  const spec = {
    hostNetwork: true,
    securityContext: { seccompProfile: { type: 'Unconfined' } },
    volumes: [{ name: 'v', hostPath: { path: '/' } }],
    containers: [{ name: 'a', securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }],
  };
  const reasons = (level: 'baseline' | 'restricted', minor?: number): string[] =>
    findingsOf({ level, minor }, { annotations: {}, spec }).map(({ reason }) => reason);
  expect(reasons('baseline')).toEqual([
    'non-default capabilities',
    'host namespaces',
    'hostPath volumes',
    'seccompProfile',
  ]);
  expect(reasons('restricted')).toEqual([
    'host namespaces',
    'allowPrivilegeEscalation != false',
    'unrestricted capabilities',
    'restricted volume types',
    'runAsNonRoot != true',
    'seccompProfile',
  ]);
  // Before 1.22 nothing stood in for the baseline's capabilities.
  expect(reasons('restricted', 21)).toContain('non-default capabilities');
});

describe('the policy of a namespace', () => {
  const label = (mode: string): string => `pod-security.kubernetes.io/${mode}`;
  test.each<[string, Record<string, string>, [string, string, string], number]>([
    ['nothing said', {}, ['privileged:latest', 'privileged:latest', 'privileged:latest'], 0],
    [
      'who enforces is warned of it',
      { enforce: 'restricted', 'enforce-version': 'v1.30' },
      ['restricted:v1.30', 'privileged:latest', 'restricted:v1.30'],
      0,
    ],
    [
      'unless he says of what',
      { enforce: 'restricted', warn: 'privileged' },
      ['restricted:latest', 'privileged:latest', 'privileged:latest'],
      0,
    ],
    [
      'what is wrong is the strictest to enforce and nothing to the rest',
      { enforce: 'x', audit: 'y', warn: 'z', 'audit-version': '1.2' },
      ['restricted:latest', 'privileged:latest', 'privileged:latest'],
      4,
    ],
  ])('%s', (_name, labels, [enforce, audit, warn], errorCount) => {
    const given = Object.fromEntries(Object.entries(labels).map(([mode, value]) => [label(mode), value]));
    const { policy, errors } = policyOf(given, defaultPolicy({}));
    expect([policy.enforce, policy.audit, policy.warn].map((each) => levelText(each))).toEqual([
      enforce,
      audit,
      warn,
    ]);
    expect(errors).toHaveLength(errorCount);
  });
});
