/**
 * Assignors that leave partitions where they are (Java's StickyAssignor and CooperativeStickyAssignor, KIP-54 and KIP-429).
 * Loads differ by one at most among members that read the same topics, and nothing moves that need not. Which partition
 * goes where is not what Java would choose to the letter, and need not be: only one member of a group assigns.
 *
 * sticky: all members give everything up before they join, and say in their user data what they had.
 * cooperative-sticky: members keep what they have. A partition that moves is given to nobody at first; who had it sees
 * that, lets it go and joins again, and only then it is given to its new reader.
 */
import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import type { Member, PartitionCount, Plan, TopicPartitions } from './assignors.ts';

/** A partition: where it is, who may have it, who has it in the plan under way. */
interface Seat {
  readonly topic: string;
  readonly partition: number;
  /** Members that read the topic, fixed order. */
  readonly readers: readonly Member[];
  reader: Member | undefined;
}

export function sticky(members: readonly Member[], partitionsOf: PartitionCount): Plan {
  return planOf(members, seated(members, partitionsOf));
}

export function cooperativeSticky(members: readonly Member[], partitionsOf: PartitionCount): Plan {
  const seats = seated(members, partitionsOf);
  const claims = new Map<string, Member[]>();
  for (const member of members) {
    for (const { topic, partitions } of member.owned ?? []) {
      for (const partition of partitions) claims.set(`${topic}-${partition}`, [...(claims.get(`${topic}-${partition}`) ?? []), member]);
    }
  }
  const isFree = ({ topic, partition, reader }: Seat): boolean => (claims.get(`${topic}-${partition}`) ?? []).every((member) => member === reader);
  return planOf(members, seats.filter(isFree));
}

function seated(members: readonly Member[], partitionsOf: PartitionCount): Seat[] {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const seats: Seat[] = [];
  for (const topic of [...new Set(members.flatMap(({ topics }) => topics))].sort()) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic));
    const count = partitionsOf(topic) ?? 0;
    for (let partition = 0; partition < count; partition++) seats.push({ topic, partition, readers, reader: undefined });
  }
  keep(sorted, seats);
  const loads = new Map(sorted.map((member) => [member, 0]));
  const load = (member: Member): number => loads.get(member) as number;
  const seat = (one: Seat, member: Member): void => {
    if (one.reader !== undefined) loads.set(one.reader, load(one.reader) - 1);
    one.reader = member;
    loads.set(member, load(member) + 1);
  };
  for (const { reader } of seats) if (reader !== undefined) loads.set(reader, load(reader) + 1);
  const idlest = ({ readers }: Seat): Member => readers.reduce((least, one) => (load(one) < load(least) ? one : least));
  for (const one of seats) if (one.reader === undefined) seat(one, idlest(one));
  // Each move makes loads more alike, so this ends.
  for (let moved = true; moved; ) {
    moved = false;
    for (const one of seats) {
      const to = idlest(one);
      if (load(one.reader as Member) - load(to) < 2) continue;
      seat(one, to);
      moved = true;
    }
  }
  return seats;
}

/** Seats members where they were. The newest generation is right; two claims of the same one are both wrong. */
function keep(members: readonly Member[], seats: readonly Seat[]): void {
  const byPlace = new Map(seats.map((one) => [`${one.topic}-${one.partition}`, one]));
  const claimed = new Map<Seat, { readonly generation: number; readonly member: Member | undefined }>();
  for (const member of members) {
    const { owned = [], generation = -1 } = member;
    for (const { topic, partitions } of owned) {
      for (const partition of partitions) {
        const one = byPlace.get(`${topic}-${partition}`);
        if (!one?.readers.includes(member)) continue;
        const other = claimed.get(one);
        if (other === undefined || other.generation < generation) claimed.set(one, { generation, member });
        else if (other.generation === generation) claimed.set(one, { generation, member: undefined });
      }
    }
  }
  for (const [one, { member }] of claimed) one.reader = member;
}

function planOf(members: readonly Member[], seats: readonly Seat[]): Plan {
  const plan: Plan = new Map(members.map(({ memberId }) => [memberId, new Map<string, number[]>()]));
  for (const { topic, partition, reader } of seats) {
    const topics = plan.get((reader as Member).memberId) as Map<string, number[]>;
    const list = topics.get(topic);
    if (list === undefined) topics.set(topic, [partition]);
    else list.push(partition);
  }
  return plan;
}

/** User data of a member under `sticky`: what it had, and in which generation. */
export function encodeStickyData(owned: readonly TopicPartitions[], generation: number): Buffer {
  const writer = new ByteWriter();
  writer.i32(owned.length);
  for (const { topic, partitions } of owned) {
    const name = Buffer.from(topic);
    writer.i16(name.length);
    writer.bytes(name);
    writer.i32(partitions.length);
    for (const partition of partitions) writer.i32(partition);
  }
  writer.i32(generation);
  return writer.finish();
}

export interface Claim {
  readonly owned: readonly TopicPartitions[];
  readonly generation: number;
}

/** Nothing, from a member that is new. The first release wrote no generation. @throws ProtocolError it is cut off */
export function decodeStickyData(data: Buffer | null): Claim {
  if (data === null || data.length === 0) return { owned: [], generation: -1 };
  const reader = new ByteReader(data);
  const owned: TopicPartitions[] = [];
  for (let topics = reader.i32(); topics > 0; topics--) {
    const topic = reader.bytes(reader.i16()).toString();
    const partitions: number[] = [];
    for (let left = reader.i32(); left > 0; left--) partitions.push(reader.i32());
    owned.push({ topic, partitions });
  }
  return { owned, generation: reader.remaining >= 4 ? reader.i32() : -1 };
}

/** User data of a member under `cooperative-sticky`: its generation. */
export function encodeGeneration(generation: number): Buffer {
  const writer = new ByteWriter(4);
  writer.i32(generation);
  return writer.finish();
}

export function decodeGeneration(data: Buffer | null): number {
  return data === null || data.length < 4 ? -1 : data.readInt32BE(0);
}
