import { expect, test } from '@jest/globals';
import { takeControllers } from './controllers-flag.ts';

test.each<[string[], string[], string[]]>([
  [['--etcd-servers=x'], [], ['--etcd-servers=x']],
  [['--controllers=*', '-v', '2'], ['*'], ['-v', '2']],
  [['--controllers', 'a,-b', '--controllers=c,'], ['a', '-b', 'c'], []],
  [['--controllers=', '--x'], [], ['--x']],
])('%j', (argv, controllers, rest) => {
  expect(takeControllers(argv)).toEqual({ controllers, rest });
});

test('one without a value', () => {
  expect(() => takeControllers(['--controllers'])).toThrow('flag needs an argument: --controllers');
});
