import { expect, test } from '@jest/globals';
import { configMaps, pods, STAMP_LENGTH, STAMP_MARK, stampOf } from './objects.ts';

test.each([
  ['configmaps', configMaps({ valueBytes: 256 })],
  ['pods', pods()],
])('%s: JSON with a stamp that is found again', (kind, maker) => {
  const body = maker.body('ns', 'name-1', stampOf(42));
  const object = JSON.parse(body.toString('utf8')) as { metadata: Record<string, unknown> };
  expect(object.metadata).toMatchObject({
    name: 'name-1',
    namespace: 'ns',
    annotations: { stamp: '00000042' },
  });
  const at = body.indexOf(STAMP_MARK) + STAMP_MARK.length;
  expect(body.toString('latin1', at, at + STAMP_LENGTH)).toBe('00000042');
  expect(maker.collection('ns')).toBe(`/api/v1/namespaces/ns/${kind}`);
});

test('a value has the length that was asked for', () => {
  const { data } = JSON.parse(configMaps({ valueBytes: 10 }).body('a', 'b', stampOf(0)).toString('utf8')) as {
    data: { value: string };
  };
  expect(data.value).toHaveLength(10);
});
