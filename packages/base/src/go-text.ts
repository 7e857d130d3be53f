/**
 * Text as Go's fmt prints it with %q. Programs and error texts that users know from etcd and Kubernetes hold
 * it, and scripts read them, so it is part of the contract. Knows characters only: what is no UTF-8 has to be
 * told apart by who has the bytes. Modelled on Go's strconv.Quote.
 */

const NAMED: Readonly<Record<string, string>> = {
  '\u0007': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
  '\\': '\\\\',
  '"': String.raw`\"`,
};

/** Text in quotes as Go's %q prints it. */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const char of text) quoted += goEscape(char);
  return `${quoted}"`;
}

/** One character as it stands within such quotes: itself, or its escape. */
export function goEscape(char: string): string {
  const named = NAMED[char];
  if (named !== undefined) return named;
  return isPrintable(char) ? char : escapeCode(char.codePointAt(0) ?? 0);
}

function escapeCode(code: number): string {
  const digits = code.toString(16);
  if (code < 0x80) return String.raw`\x${digits.padStart(2, '0')}`;
  return code > 0xffff ? String.raw`\U${digits.padStart(8, '0')}` : String.raw`\u${digits.padStart(4, '0')}`;
}

/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols, and the plain space. */
export function isPrintable(char: string): boolean {
  return char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}
