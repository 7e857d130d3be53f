/**
 * L1 to L3: all faults stop, a random core that holds a quorum comes back and the others stay down. Then, counted in
 * election timeouts, there is a leader (L1), every client gets its last requests answered (L2), and all members of the core
 * come to hold the same (L3, K9: applied index, revision, hash of the keys at it).
 *
 * Nothing is compared while somebody is late: hashes are asked for in the very moment when all have applied the same, and what
 * watchers must have been told is what there was before a long quiet. A member that stays late breaks L3.
 */
import type { Prng } from '@keelson/base';
import { law, LawBroken } from '@keelson/sim';
import type { Show } from './show.ts';
import type { SimMember } from './member.ts';
import { placeOfUrl } from './wires.ts';

/** As in the plan of tests: all is well within so many election timeouts. */
const ALL_WITHIN = 200;
/** Requests that were under way have their own timeouts: 5 s and more. */
const GRACE_MS = 30_000;
const LOOK_EVERY_MS = 100;
/** What watchers are still to be told is told in it, to those behind too. */
const QUIET_MS = 12_000;
/** Of a small store; it waits for no message and no disk. */
const HASHED_WITHIN_MS = 12_000;
/** Leases of so few seconds are over then, or a little later: many at once are ended a few at a time. */
const SHORT_TTL_SECONDS = 6;
const ENDED_WITHIN_MS = 30_000;
const ENDED_EACH_MS = 1000;

/** @throws LawBroken */
export function heal(cluster: Show, prng: Prng): void {
  const { scheduler, options } = cluster;
  cluster.healed = true;
  cluster.wires.network.heal();
  cluster.wires.cutOff.clear();
  const timeoutMs = options.heartbeatMs * options.electionTicks;
  cluster.recorder.fact({ type: 'fault', name: 'all', heals: true });
  for (const member of cluster.members) {
    member.pausedUntil = 0;
    member.life?.wake();
    member.slowUntil = 0;
    member.fullUntil = 0;
    member.syncFails = 'none';
    member.readFails = false;
    member.writeFails = false;
  }
  chooseCore(cluster, prng);
  for (const member of cluster.members) if (member.phase === 'down') cluster.operator.startIn(member, 1);
  const healedAt = scheduler.now;
  const boundMs = ALL_WITHIN * timeoutMs + GRACE_MS;
  cluster.clients.finish();
  agree(cluster, boundMs, () => cluster.count('leaderAfterMs', scheduler.now - healedAt));
  leasesEnd(cluster);
  // The leader is the first to apply the end of a lease: the others are to have it too before they are compared.
  agree(cluster, boundMs, () => undefined);
  hashes(cluster);
  // Now, not after the quiet: whatever comes in it may still be on its way to watchers at its end.
  const { revisionMax } = cluster.ledger;
  cluster.until(scheduler.now + QUIET_MS);
  cluster.recorder.fact({ type: 'settled', revision: revisionMax });
}

/** L1 to L3: until nothing is lacking, in this moment. @param whenLed is told once, when there is a leader. @throws LawBroken after `boundMs` */
export function agree(cluster: Show, boundMs: number, whenLed: () => void): void {
  const { scheduler } = cluster;
  const endMs = scheduler.now + boundMs;
  let led = false;
  for (;;) {
    cluster.until(scheduler.now + LOOK_EVERY_MS);
    const leader = cluster.leader();
    if (leader !== undefined && !led) {
      led = true;
      whenLed();
    }
    const lacks = lacking(cluster, leader);
    if (lacks === undefined) return;
    law(lacks.law, scheduler.now < endMs, () => `${lacks.text}; ${picture(cluster)}`);
  }
}

/** Some members stay down, as many as the quorum allows. */
function chooseCore(cluster: Show, prng: Prng): void {
  const { operator } = cluster;
  const truth = operator.truth();
  // One that is damaged may not come back, and is to be replaced by all the others then.
  const damaged = cluster.members.some((member) => member.damaged !== 'no' && !member.retired);
  if (truth === undefined || operator.unsettled || operator.mayChange || damaged || prng.chance(1, 2)) return;
  const voters = truth.filter(({ isLearner }) => !isLearner);
  const machines = voters.map(({ peerUrls }) => operator.memberAt(placeOfUrl(peerUrls)));
  const able = machines.filter((member) => member !== undefined && !member.retired);
  let spare = able.length - (Math.floor(voters.length / 2) + 1);
  for (const member of able) {
    if (spare <= 0 || member === undefined || prng.chance(1, 2)) continue;
    spare--;
    member.retired = true;
    cluster.count('deadAtTheEnd');
    member.crash(prng, true);
  }
}

function core(cluster: Show): SimMember[] {
  const places = new Set(cluster.operator.truth()?.map(({ peerUrls }) => placeOfUrl(peerUrls)));
  return cluster.members.filter((member) => !member.retired && places.has(member.place));
}

interface Lack {
  readonly law: 'L1' | 'L2' | 'L3';
  readonly text: string;
}

function lacking(cluster: Show, leader: SimMember | undefined): Lack | undefined {
  if (leader?.server === undefined) return { law: 'L1', text: 'no leader' };
  if (!cluster.clients.finished) return { law: 'L2', text: cluster.clients.describe() };
  if (cluster.operator.unsettled) return { law: 'L2', text: 'the operator is not done' };
  const { consistentIndex } = leader.server.replica.state;
  for (const member of core(cluster)) {
    const state = member.server?.replica.state;
    if (state === undefined) return { law: 'L3', text: `${member.name} is not up` };
    if (state.consistentIndex !== consistentIndex)
      return { law: 'L3', text: `${member.name} is at ${state.consistentIndex}, not ${consistentIndex}` };
  }
  return undefined;
}

/** E2: nobody renews any more, and there is a leader. @throws LawBroken */
export function leasesEnd(cluster: Show): void {
  const { scheduler } = cluster;
  const beganAt = scheduler.now;
  // A leader that comes later may have more of them.
  let most = 0;
  for (;;) {
    const leader = cluster.leader();
    const lessor = leader?.server?.replica.lessor;
    const left = lessor
      ?.list()
      .filter((id) => (lessor.lookup(id)?.ttlSeconds ?? 0) <= SHORT_TTL_SECONDS).length;
    if (left === 0) {
      cluster.count('leasesEndedAfterMs', scheduler.now - beganAt);
      return;
    }
    most = Math.max(most, left ?? 0);
    const afterMs = scheduler.now - beganAt;
    law('E2', afterMs < ENDED_WITHIN_MS + most * ENDED_EACH_MS, () =>
      leader === undefined
        ? `nobody leads who could end leases, after ${afterMs} ms`
        : `${leader.name} still has ${left} leases of at most ${SHORT_TTL_SECONDS} s, after ${afterMs} ms`,
    );
    cluster.until(scheduler.now + LOOK_EVERY_MS);
  }
}

/** K9: equal hashes of all members. To be asked when all agree: each takes its revision here and now. @throws LawBroken */
function hashes(cluster: Show): void {
  const found: { readonly name: string; readonly text: string }[] = [];
  const members = core(cluster);
  let refusal: string | undefined;
  let waiting = members.length;
  for (const { name, server, life } of members) {
    if (server === undefined || life === undefined) throw new LawBroken('L3', `${name} is not up`);
    const refused = (why: string): void => {
      waiting--;
      refusal ??= `${name} tells no hash: ${why}`;
    };
    life.enter('hash', () => {
      const { mvcc } = server.replica.state;
      mvcc.hashKV(0).then(
        (hash) => {
          if (typeof hash === 'string') {
            refused(hash);
            return;
          }
          waiting--;
          const { compactRevision, hashRevision } = hash;
          found.push({ name, text: `${hash.hash} of ${compactRevision} to ${hashRevision}` });
          cluster.recorder.fact({
            type: 'hash',
            member: name,
            revision: hashRevision,
            compactRevision,
            hash: hash.hash,
          });
        },
        (error: unknown) => refused(String(error)),
      );
    });
  }
  const end = cluster.scheduler.now + HASHED_WITHIN_MS;
  while (waiting > 0 && cluster.scheduler.now < end) cluster.step();
  law('K9', waiting === 0, () => 'a hash was never told');
  law('K9', refusal === undefined, () => refusal ?? '');
  const [first] = found;
  for (const each of found)
    law('K9', each.text === first.text, () => `${first.name}: ${first.text}; ${each.name}: ${each.text}`);
  cluster.count('hashesCompared', found.length);
}

function picture(cluster: Show): string {
  return cluster.members
    .filter((member) => !member.retired)
    .map((member) => {
      const replica = member.server?.replica;
      if (replica === undefined) return `${member.name} ${member.phase}`;
      return (
        `${member.name} ${member.phase} ${replica.isLeader ? 'leads' : `follows ${replica.leaderId.toString(16)}`} term ${replica.term} ` +
        `commit ${replica.commitIndex} applied ${replica.appliedIndex} ` +
        `members ${replica.state.membership
          .list()
          .map(({ peerUrls, isLearner }) => `m${placeOfUrl(peerUrls)}${isLearner ? 'l' : ''}`)
          .join()}`
      );
    })
    .join('; ');
}
