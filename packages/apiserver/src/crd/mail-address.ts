/**
 * Whether a text is a mail address as Go's net/mail reads one: `a@b`, `"a b"@c`, `a@[1.2.3.4]`, `A B <a@b>`, with comments
 * behind it. No groups. One pass over the text.
 */

import { parseAddress } from '../validation/addresses.ts';

const ATOM = /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\u0080-\u{10ffff}]*/uy;
// oxlint-disable-next-line no-control-regex
const QUOTED = /"(?:[^"\\\u0000-\u0008\u000a-\u001f\u007f]|\\[\t -~\u0080-\u{10ffff}])*"/uy;
const LITERAL = /\[([^[\]\\]*)\]/y;
const SPACE = /[ \t]*/y;
const COMMENT_PART = /[()]|[^()\\]+|\\[\s\S]/y;

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  private take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match !== null) this.at += match[0].length;
    return match ?? undefined;
  }

  private has(sign: string): boolean {
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    return true;
  }

  /** @param loose dots may stand anywhere */
  private atom(loose: boolean): boolean {
    const atom = this.take(ATOM)?.[0] ?? '';
    return atom !== '' && (loose || !/^\.|\.\.|\.$/.test(atom));
  }

  private spec(): boolean {
    this.take(SPACE);
    const quoted = this.take(QUOTED)?.[0];
    if (quoted === '""' || (quoted === undefined && !this.atom(false)) || !this.has('@')) return false;
    this.take(SPACE);
    const literal = this.take(LITERAL);
    return literal === undefined ? this.atom(false) : parseAddress(literal[1]) !== undefined;
  }

  private comments(): boolean {
    this.take(SPACE);
    while (this.text[this.at] === '(') {
      let depth = 0;
      do {
        const part = this.take(COMMENT_PART)?.[0];
        if (part === undefined) return false;
        if (part === '(') depth += 1;
        else if (part === ')') depth -= 1;
      } while (depth > 0);
      this.take(SPACE);
    }
    return true;
  }

  private ends(): boolean {
    return this.comments() && this.at === this.text.length;
  }

  isAddress(): boolean {
    this.take(SPACE);
    const start = this.at;
    if (this.spec()) return this.ends();
    this.at = start;
    while (this.text[this.at] !== '<') {
      if (this.take(QUOTED) === undefined && !this.atom(true)) return false;
      this.take(SPACE);
    }
    this.at += 1;
    return this.spec() && this.has('>') && this.ends();
  }
}

export function isMailAddress(text: string): boolean {
  return new Reader(text).isAddress();
}
