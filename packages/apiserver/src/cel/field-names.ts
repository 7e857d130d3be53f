/**
 * How a property's name is written in an expression: what is no identifier is escaped (`a-b` is `a__dash__b`,
 * `namespace` is `__namespace__`), and what cannot be is not accessible. Kubernetes' rules (pkg/cel/escaping.go).
 */

const RESERVED: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace return var ' +
    'void while'
  ).split(' '),
);

const SIGNS: Readonly<Record<string, string>> = { '.': 'dot', '-': 'dash', '/': 'slash' };

export const isReserved = (name: string): boolean => RESERVED.has(name);

/** Undefined where expressions cannot name the property. */
export function escapeFieldName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_][A-Za-z0-9_.\-/]*$/.test(name)) return undefined;
  return name.replace(/__|[.\-/]/g, (sign) => `__${SIGNS[sign] ?? 'underscores'}__`);
}

/** The property an escaped name stands for; undefined where it stands for none. */
export function unescapeFieldName(escaped: string): string | undefined {
  const keyword = /^__([a-z]+)__$/.exec(escaped)?.[1];
  if (keyword !== undefined && RESERVED.has(keyword)) return keyword;
  let wrong = false;
  const name = escaped.replace(/__(?:(underscores|dot|dash|slash)__)?/g, (_all, word: string | undefined) => {
    switch (word) {
      case 'underscores':
        return '__';
      case 'dot':
        return '.';
      case 'dash':
        return '-';
      case 'slash':
        return '/';
      default:
        wrong = true;
        return '';
    }
  });
  return wrong ? undefined : name;
}
