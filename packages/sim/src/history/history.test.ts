import { describe, expect, test } from '@jest/globals';
import { HistoryFormatError, linesOf, readHistory } from './json-lines.ts';
import { failureOutcome } from './outcome.ts';
import { recordedValue } from './recorded-value.ts';
import { HistoryRecorder } from './recorder.ts';
import type { HistoryRecord } from './record.ts';

function recorded(sink?: (record: HistoryRecord) => void): HistoryRecorder {
  let ms = 0;
  const recorder = new HistoryRecorder({
    nowMs: () => (ms += 0.5),
    beginning: { name: 'two clients' },
    ...(sink === undefined ? {} : { sink }),
  });
  const put = recorder.call({ client: 1, member: 'a' }, { kind: 'put', key: 'k\xff\0', value: '1' });
  const get = recorder.call({ client: 2, user: 'root' }, { kind: 'range', key: 'k\xff\0' });
  put.ok({ kind: 'put', revision: 2 });
  get.failed('Unavailable', 'etcdserver: no leader');
  const stream = recorder.stream();
  const watch = recorder.watch({ client: 3 }, stream, { key: 'a', end: '\0', prevKv: true });
  recorder.watchResponse({ watch, stream, revision: 2, created: true });
  recorder.watchCancel(watch);
  recorder.streamEnd(stream, 'Canceled', 'etcdserver: watch canceled');
  recorder.fact({ type: 'crash', member: 'a' });
  recorder.call({ client: 1 }, { kind: 'compact', revision: 2 });
  return recorder;
}

describe('a history', () => {
  test('is the same after it was written and read', () => {
    const history = recorded().finish();
    expect(readHistory([...linesOf(history)].join('\n'))).toEqual(history);
    expect(history.operations.map(({ called, returned }) => [called, returned])).toEqual([
      [0, 2],
      [1, 3],
      [9, undefined],
    ]);
    expect(history.operations.map(({ outcome }) => outcome.kind)).toEqual(['ok', 'unknown', 'unknown']);
  });

  test('goes to a sink record by record, and reads the same', () => {
    const records: HistoryRecord[] = [];
    recorded((record) => records.push(record)).finish();
    const text = records.map((record) => JSON.stringify(record)).join('\n');
    expect(readHistory(text)).toEqual(recorded().finish());
  });

  test.each([
    ['{"type":"history","format":1}\n{"type":', 2, 'not a record'],
    ['{"type":"history","format":2}', 1, 'format 1'],
    ['{"type":"history","format":1}\n{"type":"banana"}', 2, 'banana'],
    ['{"type":"history","format":1}\n\n{"type":"operation","id":0,"called":0}', 3, 'request.kind'],
    ['', 1, 'without its beginning'],
  ])('refuses %j', (text, line, what) => {
    const failure = (() => {
      try {
        readHistory(text);
        return undefined;
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(HistoryFormatError);
    expect(failure).toMatchObject({ line, message: expect.stringContaining(what) });
  });
});

test.each([
  ['InvalidArgument', 'etcdserver: key is not provided', 'refused'],
  ['Unavailable', 'etcdserver: request timed out', 'unknown'],
  ['Unknown', 'etcdserver: too many requests', 'refused'],
  ['ResourceExhausted', 'etcdserver: mvcc: database space exceeded', 'unknown'],
  ['DeadlineExceeded', 'context deadline exceeded', 'unknown'],
])('%s "%s" is %s', (code, text, kind) => {
  expect(failureOutcome(code, text).kind).toBe(kind);
});

test('a long value keeps what tells it from others', () => {
  const one = `#1#${'.'.repeat(5000)}`;
  expect(recordedValue('short')).toBe('short');
  expect(recordedValue(one)).toBe(recordedValue(`#1#${'.'.repeat(5000)}`));
  expect(recordedValue(one)).not.toBe(recordedValue(`${one}.`));
  expect(recordedValue(one).length).toBeLessThan(80);
});
