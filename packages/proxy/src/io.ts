/**
 * What a proxy may touch of its process: streams and the wish to stop. Passed as an argument, so that tests run the
 * commands in process; `keelson` hands in its own.
 */

export interface ProxyIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Calls back at each signal that asks to stop. @returns a function that ends the subscription */
  onStop(task: (signal: NodeJS.Signals) => void): () => void;
}
