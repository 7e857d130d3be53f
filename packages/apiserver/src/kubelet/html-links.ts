/**
 * Links in a page that comes through a proxy, rewritten so that they lead through the proxy again: in the attributes that
 * hold one URL, piece by piece as the page comes, everything else byte for byte. Styles and scripts are not looked into.
 *
 * Modelled on apimachinery's util/proxy/transport.go, its list of attributes included; the page is not put together anew.
 */

/** Attributes by element. */
const ATTRIBUTES: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    a: 'href',
    applet: 'codebase',
    area: 'href',
    audio: 'src',
    base: 'href',
    blockquote: 'cite',
    body: 'background',
    button: 'formaction',
    command: 'icon',
    del: 'cite',
    embed: 'src',
    form: 'action',
    frame: 'longdesc src',
    head: 'profile',
    html: 'manifest',
    iframe: 'longdesc src',
    img: 'longdesc src usemap',
    input: 'formaction src usemap',
    ins: 'cite',
    link: 'href',
    object: 'classid codebase data usemap',
    q: 'cite',
    script: 'src',
    source: 'src',
    video: 'poster src',
  }).map(([element, names]) => [element, new Set(names.split(' '))]),
);
/** What stands in these is text until they end. */
const RAW_TEXT: ReadonlySet<string> = new Set(
  'iframe noembed noframes noscript plaintext script style textarea title xmp'.split(' '),
);
/** A longer tag is none that anybody wrote: it goes as it came. */
const TAG_BYTES_MAX = 16 * 1024;

/** What is between tags, or the end that is looked for. */
type Mode = { readonly kind: 'text' } | { readonly kind: 'until'; readonly end: RegExp };

const TEXT: Mode = { kind: 'text' };
/** What ends them, as expressions. */
const COMMENT = '--!?>';
const DECLARATION = '>';

/** A text as it stands in an attribute, however that is quoted. */
export function attributeText(text: string): string {
  return text.replace(/[&"'<>]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Takes a page in pieces, of a byte a character. */
export class LinkRewriter {
  private readonly rewrite: (url: string) => string;
  private readonly tags = new TagReader();
  private mode: Mode = TEXT;
  private rest = '';

  constructor(rewrite: (url: string) => string) {
    this.rewrite = rewrite;
  }

  /** What can be told of it by now. */
  push(piece: string): string {
    this.rest += piece;
    let out = '';
    let at = 0;
    for (;;) {
      const step = this.mode.kind === 'text' ? this.text(at) : this.until(at, this.mode.end);
      out += step.out;
      at = step.at;
      if (!step.more) break;
    }
    this.rest = this.rest.slice(at);
    return out;
  }

  /** What was held back: an unfinished tag is none. */
  end(): string {
    const { rest } = this;
    this.rest = '';
    return rest;
  }

  private text(from: number): Step {
    const { rest } = this;
    const open = rest.indexOf('<', from);
    if (open < 0) return { out: rest.slice(from), at: rest.length, more: false };
    const before = rest.slice(from, open);
    if (rest.startsWith('<!--', open)) return this.enter(COMMENT, `${before}<!--`, open + 4);
    const next = rest[open + 1];
    // Two more characters may make a comment of it.
    if (next === undefined || (next === '!' && '<!--'.startsWith(rest.slice(open)))) {
      return { out: before, at: open, more: false };
    }
    if (next === '!' || next === '?') return this.enter(DECLARATION, `${before}<${next}`, open + 2);
    if (next === '/' && rest.length === open + 2) return { out: before, at: open, more: false };
    if (!/[a-z]/i.test(next === '/' ? rest[open + 2] : next)) {
      return { out: `${before}<`, at: open + 1, more: true };
    }
    const tag = this.tags.at(rest, open);
    if (tag === undefined) {
      if (rest.length - open < TAG_BYTES_MAX) return { out: before, at: open, more: false };
      return { out: `${before}<`, at: open + 1, more: true };
    }
    const { name, end } = tag;
    const written = before + this.written(tag, open);
    if (RAW_TEXT.has(name)) return this.enter(`(?=</${name}[\\s/>])`, written, end);
    return { out: written, at: end, more: true };
  }

  /** @param end an expression */
  private enter(end: string, out: string, at: number): Step {
    this.mode = { kind: 'until', end: new RegExp(end, 'gi') };
    return { out, at, more: true };
  }

  /** An end may begin in this piece and go on in the next: as much as it may be long is held back. */
  private until(from: number, end: RegExp): Step {
    const { rest } = this;
    end.lastIndex = from;
    const found = end.exec(rest);
    if (found === null) {
      const held = Math.max(from, rest.length - 16);
      return { out: rest.slice(from, held), at: held, more: false };
    }
    this.mode = TEXT;
    const at = found.index + found[0].length;
    return { out: rest.slice(from, at), at, more: true };
  }

  private written({ name, attributes, end }: Tag, from: number): string {
    const wanted = ATTRIBUTES.get(name);
    if (wanted === undefined) return this.rest.slice(from, end);
    let out = '';
    let at = from;
    for (const attribute of attributes) {
      if (!wanted.has(attribute.name)) continue;
      out +=
        this.rest.slice(at, attribute.from) + this.rewrite(this.rest.slice(attribute.from, attribute.to));
      at = attribute.to;
    }
    return out + this.rest.slice(at, end);
  }
}

interface Step {
  readonly out: string;
  /** Where to go on. */
  readonly at: number;
  /** False: when there is more to read. */
  readonly more: boolean;
}

interface Attribute {
  readonly name: string;
  /** Of its value, without quotes. */
  readonly from: number;
  readonly to: number;
}

interface Tag {
  /** In lower case; of a closing tag with its slash. */
  readonly name: string;
  readonly attributes: readonly Attribute[];
  /** Behind its `>`. */
  readonly end: number;
}

/** Takes tags apart. Its expressions remember where they are, so that each page has its own. */
class TagReader {
  private readonly name = /\/?[^\s/>]+/y;
  private readonly attribute =
    /[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)|(?=>)))?/y;
  private readonly close = /[\s/]*>/y;

  /** The tag that begins there; undefined where its end is not there yet. */
  at(text: string, open: number): Tag | undefined {
    this.name.lastIndex = open + 1;
    const name = this.name.exec(text)?.[0].toLowerCase() ?? '';
    let at = this.name.lastIndex;
    const attributes: Attribute[] = [];
    while (at < text.length) {
      this.close.lastIndex = at;
      if (this.close.test(text)) return { name, attributes, end: this.close.lastIndex };
      this.attribute.lastIndex = at;
      const found = this.attribute.exec(text);
      if (found === null) return undefined;
      const end = this.attribute.lastIndex;
      const [, key, double, single, bare] = found;
      const value = double ?? single ?? bare;
      if (value !== undefined) {
        const to = bare === undefined ? end - 1 : end;
        attributes.push({ name: key.toLowerCase(), from: to - value.length, to });
      } else if (/^\s*=/.test(text.slice(end, end + 64))) {
        // A value that has not come to its end.
        return undefined;
      }
      at = end;
    }
    return undefined;
  }
}
