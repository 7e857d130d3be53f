/**
 * Node's HTTP/1.1 without what hangs on it: an import of node:http by name asks the module for all it has, and so loads a
 * client for fetch and WebSocket, 4 MB resident and some 30 ms of a start, that nobody here uses. Types are imported as ever.
 */
export function nodeHttp(): typeof import('node:http') {
  return process.getBuiltinModule('node:http');
}
