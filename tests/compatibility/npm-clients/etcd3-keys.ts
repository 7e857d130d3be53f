/** The part of the etcd3 session about keys: builders, namespaces, comparisons, software-transactional memory. */
import type { Etcd3, Etcd3Module, Transaction } from './etcd3-api.ts';
import type { Tape } from './tape.ts';

/** On an empty cluster. */
export async function driveKeys(tape: Tape, module: Etcd3Module, client: Etcd3): Promise<void> {
  await drivePuts(tape, client);
  await driveReads(tape, client);
  await driveRanges(tape, module, client);
  await driveNamespaces(tape, client);
  await driveComparisons(tape, client);
  await driveMemory(tape, client);
  await driveDeletions(tape, client);
}

async function drivePuts(tape: Tape, client: Etcd3): Promise<void> {
  await tape.step('put', () => client.put('k/a').value('alpha'));
  await tape.step('put a number', () => client.put('k/n').value(42).exec());
  await tape.step('put bytes', () => client.put(Buffer.from('k/b')).value(Buffer.from([0, 255, 128])));
  await tape.step('put JSON', () => client.put('k/j').value('{"a":[1,2]}'));
  await tape.step('put nothing', () => client.put('k/empty').value(''));
  await tape.step('put without a key', () => client.put('').value('x'));
  await tape.step('put, with what was there', () => client.put('k/a').value('beta').getPrevious());
  await tape.step('touch', () => client.put('k/a').touch());
  await tape.step('touch what is not there', () => client.put('k/absent').touch());
  await tape.step('put with a lease that is none', () => client.put('k/l').value('x').lease('424242'));
  await tape.step('put ignoring the lease', () => client.put('k/a').value('gamma').ignoreLease());
  await tape.step('put ignoring the lease of nothing', () => client.put('k/absent').value('x').ignoreLease());
  await tape.step('put in its time', () =>
    client
      .put('k/t')
      .value('t')
      .options({ deadline: Date.now() + 30_000 }),
  );
  await tape.step('put as an operation', () => client.put('k/o').value('o').op());
}

async function driveReads(tape: Tape, client: Etcd3): Promise<void> {
  const read = (key: string) => client.get(key);
  await tape.step('get', () => read('k/a'));
  await tape.step('get nothing', () => read('k/absent'));
  await tape.step('get without a key', () => client.get(''));
  await tape.step('get a string', () => read('k/a').string('hex'));
  await tape.step('get a number', () => read('k/n').number());
  await tape.step('get a number that is none', () => read('k/a').number());
  await tape.step('get JSON', () => read('k/j').json());
  await tape.step('get bytes', () => read('k/b').buffer());
  await tape.step('exists', async () => [await read('k/a').exists(), await read('k/absent').exists()]);
  await tape.step('get everything of a key', () => read('k/a').exec());
  await tape.step('get as it was', () => read('k/a').revision(2).exec());
  await tape.step('get as it will be', () => read('k/a').revision(10_000));
  await tape.step('get from this member', () => read('k/a').serializable(true).options({}).exec());
  await tape.step('get if changed since', () => read('k/a').minModRevision(3).exec());
  await tape.step('get if not changed since', () => read('k/a').maxModRevision('3').exec());
  await tape.step('get if made since', () => read('k/a').minCreateRevision(3).exec());
  await tape.step('get if made before', () => read('k/a').maxCreateRevision(3).exec());
  await tape.step('get as an operation', () => read('k/a').op());
}

async function driveRanges(tape: Tape, module: Etcd3Module, client: Etcd3): Promise<void> {
  const all = () => client.getAll();
  await tape.step('all of a prefix', () => all().prefix('k/'));
  await tape.step('all', () => all().all().exec());
  await tape.step('all between', () => all().inRange({ start: 'k/b', end: 'k/n' }).exec());
  await tape.step('all between what is the wrong way round', () =>
    all().inRange({ start: 'k/n', end: 'k/b' }).exec(),
  );
  await tape.step('the first two', () => all().prefix('k/').limit(2).exec());
  await tape.step('how many', () => all().prefix('k/').count());
  await tape.step('keys', () => all().prefix('k/').keys());
  await tape.step('keys as bytes', () => all().prefix('k/').keyBuffers());
  await tape.step('values as strings', () => all().prefix('k/').strings('base64'));
  await tape.step('values as numbers', () => all().prefix('k/n').numbers());
  await tape.step('values as bytes', () => all().prefix('k/').buffers());
  await tape.step('values as JSON', () => all().prefix('k/j').json());
  for (const target of ['Key', 'Version', 'Create', 'Mod', 'Value'])
    for (const order of ['None', 'Ascend', 'Descend'])
      await tape.step(`sorted by ${target}, ${order}`, () => all().prefix('k/').sort(target, order).keys());
  await tape.step('range', () => [
    client.range('k'),
    client.range({ prefix: 'k/' }),
    module.Range.prefix('\xff'),
    module.Range.from(Buffer.from('k')),
    new module.Range('a', 'c').includes('b'),
    new module.Range('a', 'c').compare(new module.Range('d', 'e')),
  ]);
}

async function driveNamespaces(tape: Tape, client: Etcd3): Promise<void> {
  const outer = client.namespace('ns/');
  const inner = outer.namespace(Buffer.from('in/'));
  await tape.step('put in a namespace', () => inner.put('x').value('1'));
  await tape.step('put beside it', () => outer.put('y').value('2'));
  await tape.step('all of a namespace', () => outer.getAll().all());
  await tape.step('all of the inner one', () => inner.getAll().exec());
  await tape.step('get through it', () => inner.get('x').exec());
  await tape.step('compare in it', () =>
    inner.if('x', 'Value', '==', '1').then(inner.put('x').value('3')).commit(),
  );
  await tape.step('delete in it', () => inner.delete().all());
  await tape.step('what is left', () => client.getAll().prefix('ns/').keys());
}

async function driveComparisons(tape: Tape, client: Etcd3): Promise<void> {
  await tape.step('if: value', () =>
    client
      .if('k/a', 'Value', '==', 'gamma')
      .and('k/absent', 'Create', '===', 0)
      .then(client.put('k/if').value('then'), client.get('k/a'), client.delete().key('k/o'))
      .else(client.put('k/if').value('else'))
      .options({ deadline: Date.now() + 30_000 })
      .commit(),
  );
  await tape.step('else', () =>
    client
      .if('k/a', 'Version', '<', 2)
      .then(client.put('k/if').value('then'))
      .else(client.get('k/if'), client.getAll().prefix('k/').limit(1))
      .commit(),
  );
  for (const column of ['Version', 'Create', 'Mod', 'Lease'])
    for (const comparison of ['==', '!=', '!==', '>', '<'])
      await tape.step(`if: ${column} ${comparison} 3`, () =>
        client.if('k/a', column, comparison, 3).commit(),
      );
  await tape.step('two puts of one key', () =>
    client.if('k/a', 'Version', '>', 0).then(client.put('d').value(1), client.put('d').value(2)).commit(),
  );
  await tape.step('operations', () =>
    Promise.all(
      client.if('k/a', 'Version', '>', 0).mapOperations([client.get('k/a'), client.put('q').value('r')]),
    ),
  );
  await tape.step('a transaction by hand', () =>
    client.kv['txn']({
      compare: [
        {
          key: Buffer.from('k/'),
          range_end: Buffer.from('k0'),
          target: 'Version',
          result: 'Greater',
          version: 0,
        },
      ],
      success: [
        {
          request_txn: {
            success: [{ request_put: { key: Buffer.from('k/nested'), value: Buffer.from('n') } }],
          },
        },
        { request_range: { key: Buffer.from('k/nested') } },
      ],
    }),
  );
  await tape.step('range, put and delete by hand', async () => [
    await client.kv['put']({ key: Buffer.from('h'), value: Buffer.from('1'), prev_kv: true }),
    await client.kv['range']({ key: Buffer.from('h'), keys_only: true }),
    await client.kv['deleteRange']({ key: Buffer.from('h'), prev_kv: true }),
  ]);
}

async function driveMemory(tape: Tape, client: Etcd3): Promise<void> {
  const increment = async (transaction: Transaction): Promise<number> => {
    const now = Number(await transaction.get('k/n').number());
    await transaction.put('k/n').value(now + 1);
    return now + 1;
  };
  for (const [isolation, name] of [
    'snapshot',
    'serializable',
    'repeatable reads',
    'read committed',
  ].entries())
    await tape.step(`transact: ${name}`, () => client.stm({ isolation }).transact(increment));
  await tape.step('transact: with keys fetched before', () =>
    client.stm({ prefetch: ['k/n', 'k/a'], retries: 1 }).transact(increment),
  );
  await tape.step('transact: someone comes between once', () => {
    let disturbed = false;
    return client.stm().transact(async (transaction) => {
      const value = Number(await transaction.get('k/n').number());
      if (!disturbed) await client.put('k/n').value(100);
      disturbed = true;
      await transaction.put('k/n').value(value + 1);
      return value;
    });
  });
  await tape.step('transact: someone always comes between', () =>
    client.stm({ retries: 2 }).transact(async (transaction) => {
      const value = Number(await transaction.get('k/n').number());
      await client.put('k/n').value(200 + value);
      await transaction.put('k/n').value(1);
    }),
  );
  await tape.step('transact: a deletion', () =>
    client.stm({ isolation: 1 }).transact(async (transaction) => {
      await transaction.put('k/gone').value('soon');
      await transaction.delete().key('k/gone');
      await transaction.delete().key('k/nested');
      return transaction.get('k/gone').exists();
    }),
  );
  await tape.step('after the transactions', () => client.getAll().prefix('k/n').exec());
  // Counters, whoever wins: no addition is lost.
  await tape.step('twenty additions at once', async () => {
    await client.put('sum').value(0);
    await Promise.all(
      Array.from({ length: 20 }, () =>
        client.stm({ retries: 100 }).transact(async (transaction) => {
          await transaction.put('sum').value(Number(await transaction.get('sum').number()) + 1);
        }),
      ),
    );
    return client.get('sum').number();
  });
  tape.note('its version', await client.get('sum').number());
  await client.delete().key('sum');
}

async function driveDeletions(tape: Tape, client: Etcd3): Promise<void> {
  for (const key of ['1', '2', '3', '4', '5', '6', '7']) await client.put(`d/${key}`).value(key);
  await tape.step('delete a key', () => client.delete().key('d/1'));
  await tape.step('delete what is not there', () => client.delete().key('d/1').exec());
  await tape.step('delete, with what was there', () => client.delete().key('d/2').getPrevious());
  await tape.step('delete between', () => client.delete().inRange({ start: 'd/3', end: 'd/5' }));
  await tape.step('delete a range', () => client.delete().range(client.range('d/5')).options({}).exec());
  await tape.step('delete as an operation', () => client.delete().prefix('d/').op());
  await tape.step('delete a prefix', () => client.delete().prefix('d/'));
  await tape.step('delete all', () => client.namespace('ns/').delete().all());
}
