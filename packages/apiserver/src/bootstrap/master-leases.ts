/**
 * Which API servers run on this store: each writes its address under a lease and writes it again before that ends,
 * so that one that died is forgotten. Read by all, to tell clients of the service kubernetes where servers are.
 *
 * Modelled on kubernetes' lease endpoint reconciler; the records are its own (`/registry/masterleases/ADDRESS`, an
 * Endpoints object each), so that servers of both kinds may share a store.
 */

import { listOf, fieldsOf, textOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { ProtobufCodec } from '../codec/protobuf.ts';
import { withMetadata } from '../registry/generation.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { MASTER_LEASES_PREFIX } from '../storage/keys.ts';
import { builtInCodec } from '../storage/object-codec.ts';
import { hasCode } from '../storage/storage-error.ts';
import type { Storage, StorageBackend } from '../storage/storage.ts';

/** --master-service's lease: a server that died is gone from the service after as long. */
const TTL_SECONDS = 15;

export class MasterLeases {
  private readonly storage: Storage;

  constructor(backend: StorageBackend, types: TypeTable) {
    const { schemaProps } = new ObjectCodec(types);
    this.storage = backend.storage({
      resource: { group: '', resource: 'endpoints' },
      prefix: MASTER_LEASES_PREFIX,
      codec: builtInCodec({
        protobuf: new ProtobufCodec(schemaProps),
        schemaProps,
        stored: { apiVersion: 'v1', kind: 'Endpoints', struct: types.struct('core.v1.Endpoints') },
      }),
      fieldsOf: () => ({}),
    });
  }

  /** Says that the server at this address runs; to be said again within the time to live. */
  async renew(address: string, signal: AbortSignal): Promise<void> {
    await this.storage.guaranteedUpdate(
      keyOf(address),
      (current) => ({ value: recordOf(current?.value, address), ttlSeconds: TTL_SECONDS }),
      { ignoreNotFound: true, signal },
    );
  }

  /** Addresses of all servers that run, sorted. */
  async addresses(signal: AbortSignal): Promise<string[]> {
    const { objects } = await this.storage.list(MASTER_LEASES_PREFIX, { signal });
    const found = new Set<string>();
    for (const { value } of objects) {
      for (const subset of listOf(value.subsets)) {
        for (const address of listOf(fieldsOf(subset).addresses)) {
          const ip = textOf(fieldsOf(address).ip);
          if (ip !== '') found.add(ip);
        }
      }
    }
    return [...found].toSorted();
  }

  /** Takes the server's own record back: it stops. */
  async remove(address: string): Promise<void> {
    try {
      await this.storage.delete(keyOf(address));
    } catch (error) {
      if (!hasCode(error, 'KEY_NOT_FOUND')) throw error;
    }
  }
}

function keyOf(address: string): string {
  return `${MASTER_LEASES_PREFIX}/${address}`;
}

/** The generation counts, so that each renewal is a change and takes a new lease. */
function recordOf(current: KubeObject | undefined, address: string): KubeObject {
  const record: KubeObject = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: address, ...current?.metadata },
    subsets: [{ addresses: [{ ip: address }] }],
  };
  return withMetadata(record, {
    generation: (current?.metadata.generation ?? 0) + 1,
    resourceVersion: undefined,
  });
}
