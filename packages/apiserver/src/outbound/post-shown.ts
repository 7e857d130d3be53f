/** A call to a server that is shown credentials: taken anew for each call, and told when the server did not take them. */

import {
  CallError,
  type CallAnswer,
  type CallOptions,
  type CallTarget,
  type HttpsCaller,
} from './https-caller.ts';
import type { CallCredentials, Shown } from './call-credentials.ts';

const UNAUTHORIZED = 401;

/** @throws CallError `Post "https://…": why` */
export async function postShown(
  caller: Pick<HttpsCaller, 'post'>,
  target: CallTarget,
  credentials: CallCredentials,
  body: Buffer,
  options: CallOptions,
): Promise<CallAnswer> {
  let shown: Shown;
  try {
    shown = await credentials.shown();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CallError('transport', `Post ${JSON.stringify(target.url)}: ${why}`, { cause: error });
  }
  const { authorization, pair } = shown;
  const answer = await caller.post(
    {
      ...target,
      ...(authorization === undefined ? {} : { authorization }),
      ...(pair === undefined ? {} : { pair }),
    },
    body,
    options,
  );
  if (answer.code === UNAUTHORIZED) credentials.refused(shown);
  return answer;
}
