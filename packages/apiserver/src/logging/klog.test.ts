/** Log lines in klog's form and as JSON. */
import { expect, test } from '@jest/globals';
import { KlogLogger, type KlogOptions } from './klog.ts';

function lines(options: Partial<KlogOptions>, act: (logger: KlogLogger) => void): string[] {
  const found: string[] = [];
  const at = new Date(2026, 10, 21, 9, 8, 7, 65).getTime();
  act(
    new KlogLogger({
      write: (line) => found.push(line),
      nowMs: () => at,
      pid: 42,
      format: 'text',
      verbosity: 0,
      ...options,
    }),
  );
  return found;
}

test('text', () => {
  expect(
    lines({}, (logger) => {
      logger.info('Serving', { port: 6443, name: 'a "b"', gone: undefined, list: [1n] });
      logger.error('command failed', { error: new Error('no\nway') });
      logger.debug('not told');
    }),
  ).toEqual([
    'I1121 09:08:07.065000      42 apiserver:1] "Serving" port=6443 name="a \\"b\\"" list=["1"]\n',
    'E1121 09:08:07.065000      42 apiserver:1] "command failed" err="no\\nway"\n',
  ]);
});

test('JSON, with what is for debugging', () => {
  const [first, second] = lines({ format: 'json', verbosity: 4 }, (logger) => {
    logger.debug('told', { n: 1 });
    logger.error('failed', { error: 'why' });
  }).map((line): unknown => JSON.parse(line));
  expect(first).toMatchObject({ caller: 'apiserver:1', msg: 'told', v: 4, n: 1 });
  expect(second).toMatchObject({ msg: 'failed', err: 'why' });
  expect(second).not.toHaveProperty('v');
});
