/** The method tables, and what encoders refuse. */
import { describe, expect, test } from '@jest/globals';
import {
  etcdserverpb,
  healthpb,
  mvccpb,
  services,
  type Method,
  type RequestOf,
  type ResponseOf,
  type Service,
} from '../gen/index.ts';
import { messageOf, model } from './codecs.ts';

const tables = Object.values<Service>(services);

test('every service of the .proto files has a table', () => {
  const declared = model.packages.flatMap((pkg) => pkg.services.map((service) => service.fullName));
  expect(tables.map((table) => table.name).sort()).toEqual(declared.sort());
  expect(declared).toContain('grpc.health.v1.Health');
});

test('every method leads to its codecs', () => {
  for (const service of model.packages.flatMap((pkg) => pkg.services)) {
    const table = tables.find((candidate) => candidate.name === service.fullName);
    const methods = Object.values(table?.methods ?? {});
    expect(methods.map(({ name, path, kind }) => ({ name, path, kind }))).toEqual(
      service.methods.map(({ name, kind }) => ({ name, path: `/${service.fullName}/${name}`, kind })),
    );
    service.methods.forEach((method, i) => {
      expect(methods[i].request.encode).toBe(messageOf(method.request).encode);
      expect(methods[i].request.decode).toBe(messageOf(method.request).decode);
      expect(methods[i].response.encode).toBe(messageOf(method.response).encode);
      expect(methods[i].response.decode).toBe(messageOf(method.response).decode);
    });
  }
});

test('tables are typed', () => {
  const range: Method<etcdserverpb.RangeRequest, etcdserverpb.RangeResponse, 'unary'> =
    services.KV.methods.range;
  const request: RequestOf<typeof range> = new etcdserverpb.RangeRequest({ key: Buffer.from('k') });
  const response: ResponseOf<typeof range> = range.response.decode(Buffer.alloc(0));
  expect(range.request.decode(range.request.encode(request))).toEqual(request);
  expect(response).toEqual(new etcdserverpb.RangeResponse());
  expect(services.Watch.methods.watch.kind).toBe('bidi');
  expect(services.Maintenance.methods.snapshot.kind).toBe('server-stream');
  const watch: 'server-stream' = services.Health.methods.watch.kind;
  expect(watch).toBe('server-stream');
  expect(healthpb.ServingStatus.SERVICE_UNKNOWN).toBe(3);
});

describe('encoders', () => {
  test('refuse two members of a oneof', () => {
    const compare = new etcdserverpb.Compare({ version: 0, lease: 0n });
    expect(() => etcdserverpb.encodeCompare(compare)).toThrow(
      new RangeError('etcdserverpb.Compare.target_union: more than one field of the oneof is set'),
    );
  });

  test('refuse what does not fit, before a byte is written', () => {
    const header = new etcdserverpb.ResponseHeader({ raftTerm: -1 });
    expect(() => etcdserverpb.encodeResponseHeader(header)).toThrow('-1 is not an unsigned count');
    expect(() => mvccpb.encodeKeyValue(new mvccpb.KeyValue({ lease: 2n ** 63n }))).toThrow('is not an int64');
  });

  test('notice a message that changes under them', () => {
    class Growing extends mvccpb.KeyValue {
      private reads = 0;
      constructor() {
        super();
        Object.defineProperty(this, 'value', { get: () => Buffer.alloc(this.reads++) });
      }
    }
    expect(() => mvccpb.encodeKeyValue(new Growing())).toThrow(
      'mvccpb.KeyValue: the message changed while it was encoded',
    );
  });

  test('write into the middle of a larger buffer, from its end', () => {
    const kv = new mvccpb.KeyValue({ key: Buffer.from('k'), version: 3 });
    const buffer = Buffer.alloc(10, 0xee);
    expect(mvccpb.sizeKeyValue(kv)).toBe(5);
    expect(mvccpb.writeKeyValue(kv, buffer, 8)).toBe(3);
    expect(buffer.toString('hex')).toBe('eeeeee0a016b2003eeee');
  });

  test('do not keep the sizes of earlier calls', () => {
    const event = new mvccpb.Event({ kv: new mvccpb.KeyValue({ key: Buffer.from('k') }) });
    expect(mvccpb.encodeEvent(event).toString('hex')).toBe('12030a016b');
    if (event.kv !== undefined) event.kv.key = Buffer.from('longer');
    expect(mvccpb.encodeEvent(event).toString('hex')).toBe('12080a066c6f6e676572');
  });
});
