/** What the property tests of server-side apply draw from, and the options they apply with. */
import fc from 'fast-check';

import type { FieldOptions } from '../src/patch/server-side-apply.ts';
import type { TypeSchema } from '../src/schema/type-schema.ts';

const API_VERSION = 'example.dev/v1';

/** Specs of `test.All`: each form a field can have, and names that sort or read in unusual ways. */
export function customSpecs(): fc.Arbitrary<object> {
  const word = fc.constantFrom('a', 'b', 'z', 'ä', '\u{1f600}', '\uffee', '"', '__proto__', 'constructor');
  const words = fc.array(word, { maxLength: 4 });
  const map = fc.dictionary(word, fc.oneof(word, fc.constant(null)), { maxKeys: 30 });
  const item = fc.record({ name: word, value: word, tags: words, attrs: map }, { requiredKeys: [] });
  return fc.record(
    {
      string: word,
      set: words,
      list: fc.array(item, { maxLength: 4 }),
      map,
      atomicList: words,
      atomicMap: map,
      mapOfSets: fc.dictionary(word, words, { maxKeys: 2 }),
      mapOfLists: fc.dictionary(word, fc.array(item, { maxLength: 2 }), { maxKeys: 2 }),
      free: fc.dictionary(word, fc.oneof(word, words, map), { maxKeys: 3 }),
    },
    { requiredKeys: [] },
  );
}

/** An apply of one version that nothing is converted to or from. @param second of the minute it is done in */
export function applyOptions(
  type: TypeSchema,
  second: number,
  more: Partial<FieldOptions> = {},
): FieldOptions {
  return {
    apiVersion: API_VERSION,
    kind: 'Test',
    subresource: '',
    now: `2020-01-01T00:00:${String(second).padStart(2, '0')}Z`,
    versions: {
      typeOf: (version) => (version === API_VERSION ? type : undefined),
      convert: (object, version) => (version === API_VERSION ? object : undefined),
      resetFields: () => undefined,
    },
    ...more,
  };
}
