import { expect, test } from '@jest/globals';
import { memberPorts } from './ports.ts';

test.each<[number, number | undefined, number[]]>([
  [1, undefined, [2379, 2380]],
  [3, undefined, [2379, 2380, 22379, 22380, 32379, 32380]],
  [
    7,
    undefined,
    [2379, 2380, 22379, 22380, 32379, 32380, 42379, 42380, 52379, 52380, 62379, 62380, 12379, 12380],
  ],
  [3, 9000, [9000, 9001, 9002, 9003, 9004, 9005]],
])('%d members from %s', (nodes, basePort, want) => {
  expect(memberPorts(nodes, basePort).flatMap(({ client, peer }) => [client, peer])).toEqual(want);
});
