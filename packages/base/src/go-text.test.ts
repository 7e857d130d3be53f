import { expect, test } from '@jest/globals';
import { goEscape, goQuote, isPrintable } from './go-text.ts';

test.each<[string, string, string]>([
  ['plain', 'a b', '"a b"'],
  ['nothing', '', '""'],
  ['quotes and backslashes', String.raw`a"\b`, String.raw`"a\"\\b"`],
  ['named', '\u0007\b\f\n\r\t\v', String.raw`"\a\b\f\n\r\t\v"`],
  ['control', '\u0000\u001f\u007f', String.raw`"\x00\x1f\x7f"`],
  ['not printable, first plane', '\u00a0\u200b', String.raw`"\u00a0\u200b"`],
  ['not printable, beyond', '\u{e0001}', String.raw`"\U000e0001"`],
  ['printable, whatever the plane', 'é中😀', '"é中😀"'],
])('goQuote: %s', (_name, text, want) => {
  expect(goQuote(text)).toBe(want);
  expect(`"${Array.from(text, goEscape).join('')}"`).toBe(want);
});

test.each<[string, boolean]>([
  [' ', true],
  ['~', true],
  ['é', true],
  ['\t', false],
  ['\u00a0', false],
  ['\u2028', false],
])('isPrintable: %j is %s', (char, want) => {
  expect(isPrintable(char)).toBe(want);
});
