/** proto: the messages of a put and a get, both ways. */
import { etcdserverpb, mvccpb, services } from '@keelson/proto';
import type { Body } from './body.ts';

export function codecBodies(): Body[] {
  const key = Buffer.from('0000000000001234');
  const value = Buffer.alloc(256, 97);
  const { put, range } = services.KV.methods;
  const request = new etcdserverpb.PutRequest({ key, value });
  const kv = new mvccpb.KeyValue({ key, value, createRevision: 12, modRevision: 1234, version: 7 });
  const response = new etcdserverpb.RangeResponse({ kvs: [kv], count: 1 });
  const requestBytes = put.request.encode(request);
  const responseBytes = range.response.encode(response);
  return [
    { name: 'codec: encode PutRequest, 256 B', operations: 1, run: () => put.request.encode(request) },
    { name: 'codec: decode PutRequest, 256 B', operations: 1, run: () => put.request.decode(requestBytes) },
    { name: 'codec: encode RangeResponse, 1 key', operations: 1, run: () => range.response.encode(response) },
    {
      name: 'codec: decode RangeResponse, 1 key',
      operations: 1,
      run: () => range.response.decode(responseBytes),
    },
  ];
}
