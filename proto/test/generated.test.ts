/** gen/ is what the generator prints today, and the generator refuses what it has no rule for. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as protobuf from 'protobufjs';
import { DECISIONS } from '../decisions.ts';
import { generate } from '../generator/generator.ts';
import { PROTO_DIR, loadModel, loadRoot, propertyName, protoFiles } from '../generator/model.ts';
import * as descriptors from '../gen/descriptors.ts';
import { loadDescriptors } from '../gen/index.ts';
import { messages, model } from './codecs.ts';

const folder = join(PROTO_DIR, 'gen');

test('gen/ is up to date: run `pnpm proto` when this fails', () => {
  const files = generate();
  expect(readdirSync(folder).sort()).toEqual([...files.keys()].sort());
  for (const [name, text] of files) {
    // Not toEqual: a difference in 8,000 lines is not worth printing.
    expect([name, readFileSync(join(folder, name), 'utf8') === text]).toEqual([name, true]);
  }
});

test('generation is deterministic', () => {
  expect(generate()).toEqual(generate());
});

test.each([
  ['prev_kv', 'prevKv'],
  ['remaining_TTL', 'remainingTTL'],
  ['member_ID', 'memberID'],
  ['cluster_id', 'clusterId'],
  ['ID', 'ID'],
  ['peerURLs', 'peerURLs'],
  ['Term', 'Term'],
])('%s is the property %s', (field, property) => {
  expect(propertyName(field)).toBe(property);
});

describe('the generator refuses', () => {
  const withFile = (source: string): protobuf.Root => {
    const root = loadRoot();
    protobuf.parse(source, root, { keepCase: true });
    root.resolveAll();
    return root;
  };
  const proto3 = (body: string): protobuf.Root => withFile(`syntax = "proto3"; package extra; ${body}`);

  test.each<[string, () => unknown, string]>([
    [
      'a 64-bit field nobody decided on',
      () => loadModel(proto3('message M { int64 novelty = 1; }')),
      'extra.M.novelty: decide in decisions.ts: count or id?',
    ],
    [
      'a decision without a field',
      () => loadModel(loadRoot(), { ...DECISIONS, integerKinds: { ...DECISIONS.integerKinds, gone: 'id' } }),
      'decisions.ts names gone, which no .proto file has',
    ],
    [
      'an always-written field that is gone',
      () =>
        loadModel(loadRoot(), {
          ...DECISIONS,
          alwaysWritten: [...DECISIONS.alwaysWritten, 'raftpb.Entry.x'],
        }),
      'decisions.ts names raftpb.Entry.x, which no .proto file has',
    ],
    [
      'an always-written proto3 field',
      () =>
        loadModel(loadRoot(), {
          ...DECISIONS,
          alwaysWritten: [...DECISIONS.alwaysWritten, 'mvccpb.KeyValue.key'],
        }),
      'mvccpb.KeyValue.key is not a proto2 field',
    ],
    [
      'a type without a rule',
      () => loadModel(proto3('message M { double d = 1; }')),
      'extra.M.d: no rule for type double',
    ],
    [
      'a map',
      () => loadModel(proto3('message M { map<string, string> labels = 1; }')),
      'extra.M.labels: no rule for maps',
    ],
    [
      'a nested message',
      () => loadModel(proto3('message M { message N {} }')),
      '.extra.M.N: no rule for nested messages',
    ],
    [
      'two types of one name',
      () => loadModel(proto3('message M { enum N { A = 0; } } message N {}')),
      'two types of extra are called N',
    ],
  ])('%s', (_name, load, message) => {
    expect(load).toThrow(message);
  });

  test('nothing of this: a decision by full name goes before one by field name', () => {
    const integerKinds = { ...DECISIONS.integerKinds, 'extra.M.lease': 'count' as const };
    const extended = loadModel(proto3('message M { int64 lease = 1; }'), { ...DECISIONS, integerKinds });
    const fields = extended.packages
      .flatMap((pkg) => pkg.messages)
      .find((m) => m.fullName === 'extra.M')?.fields;
    expect(fields?.[0].type).toEqual({ is: 'scalar', scalar: 'int64', kind: 'count' });
  });
});

describe('descriptors', () => {
  test('say what the model says', async () => {
    expect((await loadDescriptors()).MESSAGES).toBe(descriptors.MESSAGES);
    expect(Object.keys(descriptors.MESSAGES).sort()).toEqual([...messages.keys()].sort());
    for (const [fullName, message] of messages) {
      const { type, fields } = descriptors.MESSAGES[fullName];
      expect(type.name).toBe(message.model.typeName);
      // Every field exists on a new message, in this order: one hidden class.
      expect(Object.keys(new type())).toEqual(fields.map((field) => field.property));
      expect(fields).toEqual(
        message.model.fields.map(({ name, property, number, repeated, presence, oneof, ...field }) => ({
          name,
          property,
          number,
          type: field.type.is === 'scalar' ? field.type.scalar : field.type.fullName,
          repeated,
          presence,
          oneof,
        })),
      );
    }
  });

  test('have every enum and every method', () => {
    for (const pkg of model.packages) {
      for (const type of pkg.enums)
        expect(descriptors.ENUMS[type.fullName]).toEqual(Object.fromEntries(type.values));
      for (const service of pkg.services) {
        for (const { name, request, response, http } of service.methods) {
          expect(descriptors.METHODS[`/${service.fullName}/${name}`]).toEqual({ request, response, http });
        }
      }
    }
    expect(descriptors.METHODS['/etcdserverpb.Lease/LeaseRevoke'].http).toEqual([
      '/v3/lease/revoke',
      '/v3/kv/lease/revoke',
    ]);
  });
});

test('every .proto file names its package by its folder', () => {
  for (const file of protoFiles().filter((name) => name.startsWith('etcd/'))) {
    const source = readFileSync(join(PROTO_DIR, file), 'utf8');
    expect(source).toContain(`package ${file.split('/')[1]};`);
    expect(source).toMatch(/^\/\/ .+\n(\/\/ .+\n)*\nsyntax = "proto[23]";/);
  }
});
