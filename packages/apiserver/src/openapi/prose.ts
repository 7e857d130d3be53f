/**
 * What the documents say of types and fields, in our own words: what `kubectl explain` prints. Texts are looked up by
 * `core.v1.PodSpec` and `core.v1.PodSpec.containers`; what all kinds have is said once. A field without a text has none.
 */

export interface Prose {
  /**
   * @param owner a type of the fact table, or the name of a definition that it does not have
   * @param field empty for the type itself
   */
  of(owner: string, field: string): string | undefined;
  /** What a field at the top of any kind means. */
  ofKinds(field: string): string | undefined;
}

/** Fields that mean the same wherever they stand at the top of a kind. */
const KINDS: ReadonlyMap<string, string> = new Map([
  [
    'apiVersion',
    'Group and version of the API in which the object is written, "apps/v1"; "v1" for the core group.',
  ],
  ['kind', 'What the object is, in CamelCase: "Deployment". Never changes.'],
  ['metadata', 'Name, namespace, labels, and what the server notes about the object.'],
  ['spec', 'What is wanted.'],
  ['status', 'What is the case, as controllers see it; written through the status subresource.'],
]);

/**
 * Texts by name. A line is `type`, a tab, `text`; a line that begins with a tab is a field of the type above it. A text
 * `=other` stands for all that is said of another type.
 */
export class ProseTable implements Prose {
  private readonly texts = new Map<string, string>();
  private readonly others = new Map<string, string>();

  constructor(tables: readonly string[]) {
    for (const table of tables) this.read(table);
  }

  /** All names that have a text: types, and fields behind their type and a dot. */
  names(): IterableIterator<string> {
    return this.texts.keys();
  }

  /** Types of which is said what is said of another, and that one. */
  aliases(): IterableIterator<[string, string]> {
    return this.others.entries();
  }

  of(owner: string, field: string): string | undefined {
    const own = this.texts.get(field === '' ? owner : `${owner}.${field}`);
    if (own !== undefined) return own;
    const other = this.others.get(owner);
    return other === undefined ? ofList(owner, field) : this.of(other, field);
  }

  ofKinds(field: string): string | undefined {
    return KINDS.get(field);
  }

  private read(table: string): void {
    let owner = '';
    for (const line of table.split('\n')) {
      const [name, text, fieldText] = line.split('\t');
      if (name === '') {
        if (text !== undefined && fieldText !== undefined) this.texts.set(`${owner}.${text}`, fieldText);
      } else {
        owner = name;
        if (text?.startsWith('=')) this.others.set(owner, text.slice(1));
        else if (text !== undefined) this.texts.set(owner, text);
      }
    }
  }
}

/** A list needs no text of its own. */
function ofList(owner: string, field: string): string | undefined {
  const kind = /\.(\w+)List$/.exec(owner)?.[1];
  if (kind === undefined) return undefined;
  switch (field) {
    case '':
      return `A list of objects of kind ${kind}.`;
    case 'items':
      return 'The objects.';
    case 'metadata':
      return 'The state that the list shows, and how to go on reading it.';
    default:
      return undefined;
  }
}
