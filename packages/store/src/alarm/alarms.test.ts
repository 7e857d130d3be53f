import { beforeEach, expect, test } from '@jest/globals';
import { Alarms, AlarmType } from './alarms.ts';

let kept: string[];
let alarms: Alarms;

beforeEach(() => {
  kept = [];
  alarms = new Alarms({
    put: ({ memberId, type }) => kept.push(`+${memberId}.${type}`),
    delete: ({ memberId, type }) => kept.push(`-${memberId}.${type}`),
  });
});

test('one for each member and type, written once', () => {
  alarms.activate(2n, AlarmType.NoSpace);
  alarms.activate(2n, AlarmType.NoSpace);
  alarms.activate(1n, AlarmType.NoSpace);
  alarms.activate(2n, AlarmType.Corrupt);
  expect(kept).toEqual(['+2.1', '+1.1', '+2.2']);
  expect(alarms.list(AlarmType.None)).toEqual([
    { memberId: 1n, type: 1 },
    { memberId: 2n, type: 1 },
    { memberId: 2n, type: 2 },
  ]);
  expect(alarms.list(AlarmType.Corrupt)).toEqual([{ memberId: 2n, type: 2 }]);
});

test('only exactly what was raised is cleared', () => {
  alarms.activate(2n, AlarmType.NoSpace);
  expect(alarms.deactivate(1n, AlarmType.NoSpace)).toBeUndefined();
  expect(alarms.deactivate(2n, AlarmType.Corrupt)).toBeUndefined();
  expect(alarms.stands(AlarmType.NoSpace)).toBe(true);
  expect(alarms.deactivate(2n, AlarmType.NoSpace)).toEqual({ memberId: 2n, type: 1 });
  expect(alarms.stands(AlarmType.NoSpace)).toBe(false);
  expect(kept).toEqual(['+2.1', '-2.1']);
});

test('a restore replaces all and writes nothing', () => {
  alarms.activate(2n, AlarmType.NoSpace);
  kept.length = 0;
  alarms.restore([{ memberId: 3n, type: AlarmType.Corrupt }]);
  expect(alarms.list(AlarmType.None)).toEqual([{ memberId: 3n, type: 2 }]);
  expect(kept).toEqual([]);
});
