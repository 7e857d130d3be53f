/**
 * Watches of a namespace by many: its objects are changed, and each change is followed to every watcher. A change counts as
 * done when its last watcher has it, so that the number of changes in flight bounds what the server must hold back. Each
 * change in flight has an object of its own: of several to one all but one would be refused and made anew, and that would be
 * measured. The object says which change it is; delivery is timed from the change's intended start.
 */
import { LatencyHistogram } from '../histogram.ts';
import { CallFailed, type Call } from '../load.ts';
import { Meter, runLoad, type Measured } from '../measured.ts';
import type { ApiClient } from './api-client.ts';
import type { ObjectLoad } from './object-load.ts';
import { Edited, makePresent, PRESENT, presentName } from './object-load.ts';
import { STAMP_LENGTH, STAMP_MARK, stampOf, stampPatch } from './objects.ts';

/** A delivery that takes longer is an error, not a latency. */
const DELIVERY_LIMIT_MS = 30_000;

interface Change {
  readonly intendedMs: number;
  left: number;
  readonly done: () => void;
}

/** @param load.settings.clients changes in flight at most; watchersPerKey watchers over `watchers`' connections */
export async function measureFanOut(load: ObjectLoad, watchers: ApiClient): Promise<Measured> {
  const { client, maker, namespace, settings, subject, progress } = load;
  const names = Array.from({ length: settings.clients }, (_, at) => presentName(at));
  await makePresent(load, names.length);
  const collection = maker.collection(namespace);
  const edited = await Edited.read(load, names);
  const meter = new Meter(subject);
  const deliveries = new LatencyHistogram();
  const changes = new Map<string, Change>();
  let delivered = 0;
  const line = (bytes: Buffer): void => {
    const mark = bytes.indexOf(STAMP_MARK);
    if (mark < 0) return;
    const at = mark + STAMP_MARK.length;
    const change = changes.get(bytes.toString('latin1', at, at + STAMP_LENGTH));
    if (change === undefined) return;
    if (meter.running) {
      delivered++;
      deliveries.record(performance.now() - change.intendedMs);
    }
    if (--change.left === 0) change.done();
  };
  let failure: Error | undefined;
  const ended = (error: Error): void => {
    failure ??= error;
  };
  const watchPath = `${collection}?watch=true&resourceVersion=0`;
  const count = settings.watchersPerKey;
  const cancels = await Promise.all(
    Array.from({ length: count }, (_, index) => watchers.watch(index, watchPath, line, ended)),
  );
  // Stamps that none of the objects has, nor had in a run before: what changes nothing is told to nobody.
  const first = PRESENT + Math.floor(performance.now());
  try {
    const call: Call = async (index, sequence, intendedMs) => {
      if (failure !== undefined) throw failure;
      const stamp = stampOf(first + sequence);
      const everywhere = new Promise<void>((resolve, reject) => {
        const limit = setTimeout(() => {
          changes.delete(stamp);
          reject(new CallFailed('late', 'a change did not reach every watcher'));
        }, DELIVERY_LIMIT_MS);
        const done = (): void => {
          clearTimeout(limit);
          changes.delete(stamp);
          resolve();
        };
        changes.set(stamp, { intendedMs, left: count, done });
      });
      const name = names[index % names.length];
      const path = `${collection}/${name}`;
      const change =
        maker.patched === true
          ? stampPatch(path, stamp)
          : { method: 'PUT', path, body: edited.body(name, stamp) };
      await Promise.all([client.call(index, change), everywhere]);
    };
    const ran = await runLoad(settings, call, meter, progress);
    const measured = meter.result(ran, delivered, {
      changesPerSecond: ran.completed / ran.seconds,
      lastDeliveryP99Ms: ran.latency.p99,
    });
    return { ...measured, latency: deliveries.quantiles() };
  } finally {
    for (const cancel of cancels) cancel();
  }
}
