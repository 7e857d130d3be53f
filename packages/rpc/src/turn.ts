/**
 * The end of a turn: connections that were written to outside a read get their one write when the event
 * loop has done what was ready. One immediate for all of them, and none while nothing happens.
 */
export interface Flushable {
  flush(): void;
}

export class Turn {
  private waiting: Flushable[] = [];

  add(connection: Flushable): void {
    if (this.waiting.push(connection) === 1) setImmediate(this.run);
  }

  private readonly run = (): void => {
    const { waiting } = this;
    this.waiting = [];
    for (const connection of waiting) connection.flush();
  };
}
