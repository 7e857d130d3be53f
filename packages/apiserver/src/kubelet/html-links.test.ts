/** Links in pages, whole and in pieces of any size. */

import { gunzipSync, gzipSync, inflateSync, deflateSync } from 'node:zlib';

import { describe, expect, test } from '@jest/globals';

import { attributeText, LinkRewriter } from './html-links.ts';
import { withLinks } from './page-links.ts';

const rewrite = (url: string): string => (url.startsWith('/') ? `/proxy${url}` : url);

function pieces(page: string, size: number): string {
  const rewriter = new LinkRewriter(rewrite);
  let out = '';
  for (let at = 0; at < page.length; at += size) out += rewriter.push(page.slice(at, at + size));
  return out + rewriter.end();
}

test.each([
  ['a link', '<a href="/x">y</a>', '<a href="/proxy/x">y</a>'],
  [
    'quotes of all kinds',
    `<a href='/x'><a href=/x><A HREF = "/x" >`,
    `<a href='/proxy/x'><a href=/proxy/x><A HREF = "/proxy/x" >`,
  ],
  [
    'several of a tag',
    '<img alt="/x" src="/x" longdesc=/y>',
    '<img alt="/x" src="/proxy/x" longdesc=/proxy/y>',
  ],
  ['one that closes itself', '<img src="/x"/><br/>', '<img src="/proxy/x"/><br/>'],
  ['another attribute, another element', '<a title="/x"><p href="/x">', '<a title="/x"><p href="/x">'],
  ['another server', '<a href="https://x/y">', '<a href="https://x/y">'],
  ['a > in a value', '<a title="a>b" href="/x">', '<a title="a>b" href="/proxy/x">'],
  ['comments', '<!-- <a href="/x"> --><a href="/y">', '<!-- <a href="/x"> --><a href="/proxy/y">'],
  ['declarations', '<!DOCTYPE html><?x <a?><a href="/y">', '<!DOCTYPE html><?x <a?><a href="/proxy/y">'],
  [
    'scripts',
    '<script src="/s">"<a href=\'/x\'>"</script><a href="/y">',
    '<script src="/proxy/s">"<a href=\'/x\'>"</script><a href="/proxy/y">',
  ],
  [
    'styles',
    '<style>a::before{content:"<a href=/x>"}</STYLE ><a href="/y">',
    '<style>a::before{content:"<a href=/x>"}</STYLE ><a href="/proxy/y">',
  ],
  ['less than', 'a < b <3 </ x><a href="/y">', 'a < b <3 </ x><a href="/proxy/y">'],
  ['no value', '<a href><a href=><a href="">', '<a href><a href=><a href="">'],
  ['a tag without an end', '<p><a href="/x', '<p><a href="/x'],
  ['no tag at all', 'é \u00ff /x', 'é \u00ff /x'],
])('%s', (_name, page, want) => {
  for (const size of [1, 2, 3, 7, 1_000]) expect([size, pieces(page, size)]).toEqual([size, want]);
});

test('what a path brings ends no attribute', () => {
  expect(attributeText(`/a"onload='x&y<z>`)).toBe('/a&#34;onload=&#39;x&#38;y&#60;z&#62;');
});

test('a tag without end holds nothing back for ever', () => {
  const page = `<a title="${'x'.repeat(200_000)}`;
  const rewriter = new LinkRewriter(rewrite);
  let out = '';
  for (let at = 0; at < page.length; at += 4_096) out += rewriter.push(page.slice(at, at + 4_096));
  expect(out.length).toBeGreaterThan(150_000);
  expect(out + rewriter.end()).toBe(page);
});

describe('an answer', () => {
  const answer = (headers: Record<string, string>, body: Buffer): Parameters<typeof withLinks>[0] => ({
    kind: 'stream',
    code: 200,
    contentType: '',
    headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value]])),
    chunks: (async function* chunks() {
      await Promise.resolve();
      yield body;
    })(),
  });
  const whole = async (from: Parameters<typeof withLinks>[0]): Promise<Buffer> => {
    const found: Buffer[] = [];
    for await (const chunk of from.chunks) found.push(chunk);
    return Buffer.concat(found);
  };
  const page = Buffer.from('<a href="/x">ü</a>');
  const want = '<a href="/proxy/x">ü</a>';

  test.each<[string, string, (body: Buffer) => Buffer, (body: Buffer) => Buffer]>([
    ['plain', '', (body) => body, (body) => body],
    ['gzip', 'gzip', gzipSync, gunzipSync],
    ['deflate', 'deflate', deflateSync, inflateSync],
  ])('that is %s', async (_name, coding, write, read) => {
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      'content-length': '7',
      ...(coding === '' ? {} : { 'content-encoding': coding }),
    };
    const found = withLinks(answer(headers, write(page)), rewrite);
    expect(found.headers?.has('content-length')).toBe(false);
    expect(read(await whole(found)).toString()).toBe(want);
  });

  test.each([
    ['of another type', { 'content-type': 'application/json' }],
    ['of no type', {}],
    ['in a coding nobody knows', { 'content-type': 'text/html', 'content-encoding': 'br' }],
  ])('%s goes as it came', (_name, headers) => {
    const asked = answer(headers, page);
    expect(withLinks(asked, rewrite)).toBe(asked);
  });

  test('that is no gzip fails, and does not look whole', async () => {
    const headers = { 'content-type': 'text/html', 'content-encoding': 'gzip' };
    await expect(whole(withLinks(answer(headers, page), rewrite))).rejects.toThrow('incorrect header check');
  });
});
