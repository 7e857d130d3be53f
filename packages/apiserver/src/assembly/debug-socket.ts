/**
 * Profiles and the log's level for who may open a file of this machine: nobody is asked for a token there. A socket that
 * cannot be opened is told to the log, and the server goes on without.
 *
 * Modelled on apiserver's server/routes DebugSocket.
 */

import { toError } from '@keelson/base';

import type { Handler } from '../api/exchange.ts';
import { pathNotFound, pathTable } from '../handlers/paths.ts';
import { Door, type DoorOptions } from '../http/door.ts';
import { Listener } from '../http/listener.ts';

export interface DebugSocketParts extends Omit<DoorOptions, 'handler'> {
  readonly path: string;
  readonly pages: ReadonlyMap<string, Handler>;
  /** Deletes a file; it is well when there is none. */
  readonly removeFile: (path: string) => void;
}

export class DebugSocket {
  private readonly parts: DebugSocketParts;
  private listener: Listener | undefined = undefined;

  constructor(parts: DebugSocketParts) {
    this.parts = parts;
  }

  /** Opens the socket. One that a killed server left behind is nobody's. */
  async start(): Promise<void> {
    const { path, pages, clock, logger, removeFile } = this.parts;
    const page = pathTable(pages);
    const handler: Handler = (request) => page(request.path)?.(request) ?? Promise.resolve(pathNotFound());
    this.listener = new Listener({ door: new Door({ ...this.parts, handler }), clock, logger });
    try {
      removeFile(path);
      await this.listener.listenAt(path);
    } catch (error) {
      logger.error('the debug socket could not be opened', { path, error: toError(error).message });
    }
  }

  /** Closes it, whatever is under way. */
  async stop(): Promise<void> {
    await this.listener?.stop(0);
  }
}
