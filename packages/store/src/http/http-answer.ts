/** Small answers in the form Go's net/http gives them: errors as text, one method allowed, paths made clean. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** http.Error: the text, a newline, and no guessing at its type. */
export function answerError(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${text}\n`;
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

export function answerText(
  response: ServerResponse,
  body: string,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, {
    ...headers,
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

export function notFound(response: ServerResponse): void {
  answerError(response, 404, '404 page not found');
}

/** Whether the request is a GET; if not, it has been answered. */
export function allowGet(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET') return true;
  answerError(response, 405, 'Method Not Allowed', { Allow: 'GET' });
  return false;
}

/** The path of a request's target, and its query; the query of what is no URL is empty. */
export function targetOf(request: IncomingMessage): {
  readonly path: string;
  readonly query: URLSearchParams;
} {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  // An absolute form (a proxy's) has its path behind the host.
  const absolute = /^https?:\/\/[^/]*/i.exec(raw);
  const path = absolute === null ? raw : raw.slice(absolute[0].length);
  return {
    path: path === '' ? '/' : path,
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
  };
}

/** Without empty, "." and ".." parts; a slash at the end stays (net/http's cleanPath). */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  const clean = `/${parts.join('/')}`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** 301 as net/http answers it; with a body only where one may be read. */
export function redirect(request: IncomingMessage, response: ServerResponse, location: string): void {
  const html = location.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  const readable = request.method === 'GET' || request.method === 'HEAD';
  const body = request.method === 'GET' ? `<a href="${html}">Moved Permanently</a>.\n\n` : '';
  response.writeHead(301, {
    Location: location,
    ...(readable && { 'Content-Type': 'text/html; charset=utf-8' }),
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}
