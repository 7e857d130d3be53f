import { describe, expect, test } from '@jest/globals';
import { peerLocation, parsePeerUrl } from './url-picker.ts';

describe('where a peer URL leads', () => {
  test.each<[string, object]>([
    ['http://a:1', { secure: false, host: 'a', port: 1, socketPath: '' }],
    ['https://[::1]:2', { secure: true, host: '::1', port: 2, socketPath: '' }],
    ['unix:///run/p.sock', { secure: false, host: 'localhost', port: 0, socketPath: '/run/p.sock' }],
    ['unixs://localhost:1234', { secure: true, host: 'localhost', port: 0, socketPath: 'localhost:1234' }],
    ['unixs://m1.example:0', { secure: true, host: 'm1.example', port: 0, socketPath: 'm1.example:0' }],
    ['unix:run/p.sock', { secure: false, host: 'localhost', port: 0, socketPath: 'run/p.sock' }],
  ])('%s', (text, want) => {
    expect(parsePeerUrl(text)).toEqual({ href: text, ...want });
  });

  test.each(['unix://', 'unix:', 'unixs://', 'unix://a:x', 'ftp://a:1', ''])('refused: %j', (text) => {
    expect(() => parsePeerUrl(text)).toThrow();
  });

  test.each<[string, string]>([
    ['http://a:1', 'http://a:1/members'],
    ['unix:///run/p.sock', 'unix://%2Frun%2Fp.sock/members'],
    ['unixs://localhost:1234', 'unixs://localhost%3A1234/members'],
  ])('a request beside raft: %s', (url, want) => {
    expect(String(peerLocation(url, '/members'))).toBe(want);
  });
});
