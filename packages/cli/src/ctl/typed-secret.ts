/** Asks for a password: what is typed at a terminal is not shown, and a pipe is read by the line. */
import { LineReader, type Io } from '../io.ts';
import { CtlError, ExitCode } from './ctl-error.ts';

/** @throws CtlError when the user gives up */
export async function typedSecret(io: Io, prompt: string): Promise<string> {
  io.out(prompt);
  const { stdin } = io;
  // Nothing is echoed while the line is typed: the terminal hands over each key as it is.
  const typed = stdin.isTTY === true ? await typedKeys(io) : ((await new LineReader(stdin).next()) ?? '');
  io.out('\n');
  return typed;
}

function typedKeys({ stdin }: Io): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    stdin.setRawMode?.(true);
    const done = (): void => {
      stdin.off('data', key);
      stdin.setRawMode?.(false);
      stdin.pause();
    };
    const key = (chunk: Uint8Array | string): void => {
      for (const character of Buffer.from(chunk).toString('utf8')) {
        if (character === '\u0003') {
          done();
          reject(new CtlError(ExitCode.Interrupted, 'interrupted'));
          return;
        }
        if (character === '\r' || character === '\n') {
          done();
          resolve(typed);
          return;
        }
        typed = character === '\u007f' ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', key);
    stdin.resume();
  });
}
