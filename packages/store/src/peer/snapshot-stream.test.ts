/** The length of a snapshot's body, where it is counted; over sockets a body that is cut is an aborted request first. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { systemClock } from '@keelson/base';
import { Message, MessageType, Snapshot } from '@keelson/raft';
import { expect, test } from '@jest/globals';
import { encodeMessageFrame } from './message-codec.ts';
import { DEFAULT_PEER_LIMITS, type PeerContext } from './peer-options.ts';
import { openIncomingSnapshot } from './snapshot-stream.ts';

const confState = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const HEAD = encodeMessageFrame(
  new Message(MessageType.Snap, {
    to: 1n,
    from: 2n,
    term: 3,
    snapshot: new Snapshot(9, 3, confState, Buffer.from('members')),
  }),
);
const BODY = Buffer.from('a database of some pages');

/** @param announced the length in the header, beyond the head; undefined: none is told */
async function read(announced: number | undefined): Promise<string> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a context and a request as far as they are read here
  const context = { clock: systemClock, limits: DEFAULT_PEER_LIMITS } as unknown as PeerContext;
  const headers = announced === undefined ? {} : { 'content-length': String(HEAD.length + announced) };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
  const request = Object.assign(Readable.from([HEAD, BODY.subarray(0, 9), BODY.subarray(9)]), {
    headers,
  }) as unknown as IncomingMessage;
  const incoming = await openIncomingSnapshot(context, request);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming.body) chunks.push(chunk);
  } catch (error) {
    expect(incoming.complete()).toBe(false);
    return error instanceof Error ? error.message : '';
  }
  expect(incoming.complete()).toBe(true);
  return Buffer.concat(chunks).toString();
}

test.each([
  ['as announced', BODY.length, BODY.toString()],
  ['of a length that nobody told', undefined, BODY.toString()],
  ['shorter', BODY.length + 1, `${BODY.length} of ${BODY.length + 1}`],
  ['longer', BODY.length - 1, `${BODY.length} of ${BODY.length - 1}`],
])('a body %s', async (_name, announced, want) => {
  expect(await read(announced)).toContain(want);
});
