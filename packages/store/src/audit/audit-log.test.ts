import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { HandClock } from '../../test/hand-clock.ts';
import { AUDIT_QUEUE_BYTES_MAX, AuditError, AuditLog, type AuditMode, type LineOutput } from './audit-log.ts';

/** An output that answers when told to. */
class Output implements LineOutput {
  readonly writes: string[] = [];
  closed = false;
  answer: () => Promise<void> = () => Promise.resolve();

  write(lines: Buffer): Promise<void> {
    this.writes.push(lines.toString());
    return this.answer();
  }

  reopen(): void {}

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function opened(mode: AuditMode): { log: AuditLog; output: Output; clock: HandClock } {
  const output = new Output();
  const clock = new HandClock();
  return { log: new AuditLog(output, mode, clock, silentLogger), output, clock };
}

const never = (): Promise<void> => new Promise(() => {});
const full = (): Promise<void> => Promise.reject(new Error('ENOSPC: no space left on device, write'));

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How a promise stands now. */
async function stateOf(promise: Promise<void> | undefined): Promise<string> {
  let state = 'open';
  promise?.then(
    () => (state = 'done'),
    (error: unknown) => (state = String(error)),
  );
  await settled();
  return promise === undefined ? 'nothing to wait for' : state;
}

test('lines leave in order, those of one turn in one write', async () => {
  const { log, output } = opened('blocking');
  expect(log.admit()).toBe(undefined);
  const first = log.append('1');
  const second = log.append('2');
  await Promise.all([first, second]);
  await log.append('3');
  expect(output.writes).toEqual(['1\n2\n', '3\n']);
  expect(log.counters).toEqual({ written: 3, dropped: 0, refused: 0, failures: 0 });
  expect(log.queuedBytes).toBe(0);
});

test('a write to the output is bounded, whatever waits', async () => {
  const { log, output } = opened('blocking');
  const line = 'x'.repeat(100 * 1024);
  for (let i = 0; i < 4; i++) void log.append(line);
  await log.append(line);
  expect(output.writes.map((each) => each.length)).toEqual([204_802, 204_802, 102_401]);
});

describe('blocking', () => {
  test('an answer waits for its line; a full disk fails it, refuses what comes, and the line is written after all', async () => {
    const { log, output, clock } = opened('blocking');
    output.answer = full;
    const line = log.append('1');
    expect(await stateOf(line)).toBe('AuditError: ENOSPC: no space left on device, write');
    expect(log.failing).toBe(true);
    expect(() => log.admit()).toThrow(AuditError);
    expect(await stateOf(log.append('2'))).toContain('ENOSPC');
    await clock.run(10_000);
    expect(log.counters).toMatchObject({ written: 0, refused: 1, failures: 11 });
    output.answer = () => Promise.resolve();
    await clock.run(1_000);
    expect(log.failing).toBe(false);
    expect(log.admit()).toBe(undefined);
    expect(output.writes.slice(-2)).toEqual(['1\n', '2\n']);
    await log.append('3');
  });

  test('a disk that does not answer counts as one that fails, until it answers', async () => {
    const { log, output, clock } = opened('blocking');
    let answer = (): void => {};
    output.answer = () => new Promise((resolve) => (answer = resolve));
    const line = log.append('1');
    expect(await stateOf(line)).toBe('open');
    await clock.run(4_999);
    expect(log.admit()).toBe(undefined);
    await clock.run(1);
    expect(await stateOf(line)).toBe('AuditError: a write takes too long');
    expect(() => log.admit()).toThrow('a write takes too long');
    answer();
    await settled();
    expect(log.admit()).toBe(undefined);
    expect(output.writes).toEqual(['1\n']);
  });

  test('requests wait for room in the queue, and are refused when the output fails meanwhile', async () => {
    const { log, output, clock } = opened('blocking');
    let answer = (): void => {};
    output.answer = () => new Promise((resolve) => (answer = resolve));
    const huge = log.append('x'.repeat(AUDIT_QUEUE_BYTES_MAX));
    await settled();
    const waits = log.admit();
    expect(await stateOf(waits)).toBe('open');
    answer();
    expect(await stateOf(waits)).toBe('done');
    await huge;
    void log.append('x'.repeat(AUDIT_QUEUE_BYTES_MAX))?.catch(() => {});
    await settled();
    const refused = log.admit()?.then(() => 'room', String);
    await clock.run(5_000);
    expect(await refused).toBe('AuditError: a write takes too long');
    expect(log.counters.refused).toBe(1);
  });

  test('a line that nobody was admitted for waits for nothing and has no place in a full queue', async () => {
    const { log, output, clock } = opened('blocking');
    output.answer = full;
    expect(log.append('malformed', false)).toBe(undefined);
    await settled();
    const line = 'x'.repeat(AUDIT_QUEUE_BYTES_MAX / 4);
    for (let i = 0; i < 10; i++) expect(log.append(line, false)).toBe(undefined);
    expect(log.queuedBytes).toBeLessThanOrEqual(AUDIT_QUEUE_BYTES_MAX);
    expect(log.counters.dropped).toBe(7);
    output.answer = () => Promise.resolve();
    await clock.run(1_000);
    expect(log.counters).toMatchObject({ written: 4, dropped: 7 });
  });
});

describe('dropping', () => {
  test('nobody waits; what the queue has no room for is left out and counted', async () => {
    const { log, output } = opened('dropping');
    let answer = (): void => {};
    output.answer = () => new Promise((resolve) => (answer = resolve));
    const line = 'x'.repeat(AUDIT_QUEUE_BYTES_MAX / 2);
    expect(log.append(line)).toBe(undefined);
    void log.append('second');
    void log.append(line);
    expect(log.counters.dropped).toBe(1);
    expect(log.admit()).toBe(undefined);
    await settled();
    answer();
    await settled();
    void log.append('third');
    answer();
    await settled();
    answer();
    await settled();
    expect(output.writes.slice(1).join('')).toBe('second\nthird\n');
  });

  test('a failing output is tried again, and lines that fit wait for it', async () => {
    const { log, output, clock } = opened('dropping');
    output.answer = full;
    void log.append('1');
    await settled();
    await clock.run(3_000);
    expect(log.admit()).toBe(undefined);
    void log.append('2');
    output.answer = () => Promise.resolve();
    await clock.run(2_000);
    expect(log.counters).toMatchObject({ written: 2, dropped: 0 });
    expect(log.failing).toBe(false);
  });
});

describe('the end', () => {
  test('what waits is written first', async () => {
    const { log, output } = opened('dropping');
    for (let i = 0; i < 5; i++) void log.append(String(i));
    await log.close();
    expect(output.writes.join('')).toBe('0\n1\n2\n3\n4\n');
    expect(output.closed).toBe(true);
    void log.append('late');
    expect(log.counters.dropped).toBe(1);
  });

  test.each([
    ['hangs', never],
    ['is full', full],
  ])('a disk that %s does not hold it up for long', async (_name, answer) => {
    const { log, output, clock } = opened('dropping');
    output.answer = answer;
    void log.append('1');
    let closed = false;
    void log.close().then(() => (closed = true));
    await settled();
    await clock.run(5_000);
    expect(closed).toBe(true);
  });
});
