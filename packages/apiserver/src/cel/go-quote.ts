/** How Go quotes a text (strconv.Quote, `%q`), which the original's messages show: not quite as JSON does. */

const NAMED: Readonly<Record<string, string>> = {
  '\u0007': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
  '\\': String.raw`\\`,
  '"': String.raw`\"`,
};
const PRINTED = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

function escaped(sign: string): string {
  const code = sign.codePointAt(0) ?? 0;
  const hex = (digits: number): string => code.toString(16).padStart(digits, '0');
  if (code < 0x80) return String.raw`\x${hex(2)}`;
  return code > 0xff_ff ? String.raw`\U${hex(8)}` : String.raw`\u${hex(4)}`;
}

export function goQuote(text: string): string {
  let out = '"';
  for (const sign of text) {
    if (Object.hasOwn(NAMED, sign)) out += NAMED[sign];
    else out += PRINTED.test(sign) ? sign : escaped(sign);
  }
  return `${out}"`;
}
