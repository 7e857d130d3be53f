/** /flagz and /statusz, as kube-apiserver 1.36 answers each Accept header. */

import { expect, test } from '@jest/globals';

import { silentLogger, systemClock } from '@keelson/base';

import { ObjectCodec } from '../codec/object-codec.ts';
import { Door } from '../http/door.ts';
import { callInProcess } from '../http/in-process.ts';
import { TypeTable } from '../schema/type-table.ts';
import { flagz, statusz } from './zpages.ts';

const codec = new ObjectCodec(new TypeTable());
const pages = {
  '/flagz': flagz(
    new Map([
      ['v', '0'],
      ['authorization-mode', '[Node,RBAC]'],
      ['event-ttl', '1h0m0s'],
    ]),
  ),
  '/statusz': statusz({
    startedMs: Date.UTC(2026, 10, 2, 1, 26, 45),
    nowMs: () => Date.UTC(2026, 10, 2, 2, 27, 0),
    binaryVersion: '1.36',
    emulatedVersion: '1.35',
  }),
};
const door = new Door({
  handler: (request) => pages[request.path === '/flagz' ? '/flagz' : '/statusz'](request),
  codec,
  clock: systemClock,
  logger: silentLogger,
});

async function ask(
  path: string,
  accept: string,
): Promise<{ code: number; type: string; text: string; warning: string }> {
  const answer = await callInProcess(door, path, accept === '' ? {} : { headers: { accept } });
  const text = (await answer.bytes()).toString('utf8');
  const [type, warning] = ['content-type', 'warning'].map((name) => answer.headers.get(name)?.[0] ?? '');
  return { code: answer.code, type, text, warning };
}

const WARNING =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

test.each(['', '*/*', 'text/plain', 'text/*', 'application/json, */*'])(
  'text to who accepts %j',
  async (accept) => {
    expect(await ask('/flagz', accept)).toMatchObject({
      code: 200,
      type: 'text/plain; charset=utf-8',
      text: `\napiserver flagz\n${WARNING}\nauthorization-mode=[Node,RBAC]\nevent-ttl=1h0m0s\nv=0\n`,
    });
    expect((await ask('/statusz', accept)).text).toBe(
      `\napiserver statusz\n${WARNING}\n\nStarted  Mon Nov  2 01:26:45 UTC 2026\nUp  1 hr 00 min 15 sec\nGo version  none\n` +
        'Binary version  1.36\nEmulation version  1.35\nPaths  /flagz /healthz /livez /metrics /readyz /statusz /version\n',
    );
  },
);

test('an object to who names it', async () => {
  const asked = await ask('/flagz', 'application/json;as=Flagz;v=v1beta1;g=config.k8s.io');
  expect(asked).toMatchObject({
    code: 200,
    type: 'application/json;g=config.k8s.io;v=v1beta1;as=Flagz',
    warning: '',
  });
  expect(asked.text).toBe(
    '{\n  "kind": "Flagz",\n  "apiVersion": "config.k8s.io/v1beta1",\n  "metadata": {\n    "name": "apiserver"\n  },\n  "flags": {\n' +
      '    "authorization-mode": "[Node,RBAC]",\n    "event-ttl": "1h0m0s",\n    "v": "0"\n  }\n}',
  );
  const yaml = await ask('/statusz', 'application/yaml;as=Statusz;v=v1alpha1;g=config.k8s.io');
  expect(yaml.type).toBe('application/yaml;g=config.k8s.io;v=v1alpha1;as=Statusz');
  expect(yaml.warning).toBe(
    '299 - "This version of the statusz endpoint is deprecated. Please use a newer version."',
  );
  expect(yaml.text).toContain('emulationVersion: "1.35"\n');
  expect(yaml.text).toContain('uptimeSeconds: 3615\n');
});

test.each([
  'application/json',
  'application/yaml',
  'text/html',
  'application/vnd.kubernetes.protobuf',
  'application/json;as=Statusz;v=v1beta1;g=config.k8s.io',
  'application/json;as=Flagz;v=v1;g=config.k8s.io',
  'application/cbor;as=Flagz;v=v1beta1;g=config.k8s.io',
])('nothing to who accepts %s alone', async (accept) => {
  const { code, text } = await ask('/flagz', accept);
  expect(code).toBe(406);
  expect(text).toContain(
    'only the following media types are accepted: application/json, application/yaml, text/plain',
  );
});
