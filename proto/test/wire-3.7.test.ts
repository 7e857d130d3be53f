/** Our .proto files against the description of etcd 3.7's: every message, field, enum and method, both ways. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as protobuf from 'protobufjs';
import { PROTO_DIR, loadRoot } from '../generator/model.ts';

const WIRE = join(PROTO_DIR, '../../shared/etcd/wire-3.7.json');
/** Ours alone: the description leaves out the WAL's metadata; the health service is gRPC's, that for backups our own. */
const OURS_ALONE = ['etcdserverpb.Metadata', 'grpc', 'keelson'];

/**
 * Fields of etcd (authpb/auth.proto, etcdserverpb/rpc.proto) that the description cannot carry: in a JSON descriptor the
 * name "options" is taken.
 */
const UNDESCRIBED = [
  'authpb.User.options = 4: authpb.UserAddOptions',
  'etcdserverpb.AuthUserAddRequest.options = 3: authpb.UserAddOptions',
];

/** One line for each fact that two implementations must share. */
function facts(root: protobuf.Root): string[] {
  const out: string[] = [];
  const visit = (space: protobuf.Namespace): void => {
    for (const child of space.nestedArray) {
      const name = child.fullName.slice(1);
      if (OURS_ALONE.includes(name)) continue;
      if (child instanceof protobuf.Type) {
        out.push(`message ${name}`);
        for (const field of child.fieldsArray) {
          const type = field.resolvedType?.fullName.slice(1) ?? field.type;
          const oneof = field.partOf === null ? '' : ` in ${field.partOf.name}`;
          out.push(
            `${name}.${field.name} = ${field.id}: ${field.repeated ? 'repeated ' : ''}${type}${oneof}`,
          );
        }
      } else if (child instanceof protobuf.Enum) {
        for (const [value, number] of Object.entries(child.values))
          out.push(`enum ${name}.${value} = ${number}`);
      } else if (child instanceof protobuf.Service) {
        for (const method of child.methodsArray) {
          method.resolve();
          const { requestStream, responseStream, resolvedRequestType, resolvedResponseType, parsedOptions } =
            method;
          const request = `${requestStream === true ? 'stream ' : ''}${resolvedRequestType?.fullName}`;
          const response = `${responseStream === true ? 'stream ' : ''}${resolvedResponseType?.fullName}`;
          out.push(
            `rpc ${name}/${method.name}(${request}) returns (${response}) ${JSON.stringify(parsedOptions ?? [])}`,
          );
        }
      }
      if (child instanceof protobuf.Namespace) visit(child);
    }
  };
  visit(root);
  return out.sort();
}

if (existsSync(WIRE)) {
  describe('etcd 3.7', () => {
    const description: protobuf.INamespace = JSON.parse(readFileSync(WIRE, 'utf8'));
    const theirs = protobuf.Root.fromJSON(description);
    theirs.resolveAll();
    const want = facts(theirs);

    test('the description is the whole one', () => {
      expect(want.filter((fact) => fact.startsWith('message ')).length).toBeGreaterThan(120);
      expect(want.filter((fact) => fact.startsWith('rpc ')).length).toBeGreaterThan(45);
    });

    test('names, numbers, types, oneofs, services and HTTP bindings are the same', () => {
      expect(facts(loadRoot())).toEqual([...want, ...UNDESCRIBED].sort());
    });
  });
} else {
  test.skip('etcd 3.7: names and numbers (needs ../shared/etcd/wire-3.7.json)', () => undefined);
}
