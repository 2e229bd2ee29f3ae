/** The files beside the logs, byte for byte as real brokers of Kafka 3.9 left them: read, and written again the same. */
import { describe, expect, test } from 'vitest';
import { decodeAborted, encodeAborted } from '../../../../src/broker/storage/aborted.ts';
import { readEpochs, readOffsets, writeEpochs, writeOffsets } from '../../../../src/broker/storage/checkpoints.ts';
import {
  CLEAN_MARKER,
  leaveCleanMarker,
  readMeta,
  readPartitionMetadata,
  takeCleanMarker,
  writeMeta,
  writePartitionMetadata,
} from '../../../../src/broker/storage/data-dir.ts';
import { ProducerState } from '../../../../src/broker/storage/producers.ts';
import { readWhole, replaceWhole } from '../../../../src/lib/files.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/[\s/]/g, ''), 'hex');
const DIR = '/data';

function diskWith(files: Readonly<Record<string, string>> = {}): MemoryDisk {
  const disk = new MemoryDisk();
  disk.mkdir(DIR);
  for (const [name, text] of Object.entries(files)) replaceWhole(disk, `${DIR}/${name}`, Buffer.from(text));
  return disk;
}
const textOf = (disk: MemoryDisk, name: string): string | undefined => readWhole(disk, `${DIR}/${name}`)?.toString();

describe('of a partition', () => {
  test('.snapshot: two producers, the second with a finished transaction', () => {
    const file = hex(`0001 0b482366 00000002
      0000000000000002 0000 00000000 0000000000000001 00000000 000001a1fbca92b6 ffffffff ffffffffffffffff
      0000000000000004 0000 00000000 0000000000000002 00000000 000001a1fbca96b5 00000000 ffffffffffffffff`);
    const state = new ProducerState();
    expect(state.decode(file)).toBe(true);
    expect([...state.entries()]).toMatchObject([
      { producerId: 2, epoch: 0, coordinatorEpoch: -1, txnFirstOffset: -1, lastTimestamp: 0x1a1fbca92b6, batches: [{ lastSequence: 0, lastOffset: 1 }] },
      { producerId: 4, epoch: 0, coordinatorEpoch: 0, txnFirstOffset: -1, batches: [{ firstSequence: 0, baseOffset: 2 }] },
    ]);
    expect(state.encode()).toEqual(file);
    file[20]! ^= 1;
    expect(state.decode(file)).toBe(false);
  });

  test('.txnindex: producer 1009 from 0 to its marker at 2', () => {
    const file = hex('0000 00000000000003f1 0000000000000000 0000000000000002 0000000000000003');
    const [txn] = decodeAborted(file);
    expect(txn).toEqual({ producerId: 1009, firstOffset: 0, lastOffset: 2, lastStableOffset: 3 });
    expect(encodeAborted(txn!)).toEqual(file);
  });

  test('leader-epoch-checkpoint', () => {
    const disk = diskWith({ 'leader-epoch-checkpoint': '0\n1\n0 0\n' });
    const epochs = readEpochs(disk, `${DIR}/leader-epoch-checkpoint`);
    expect(epochs).toEqual([{ epoch: 0, startOffset: 0 }]);
    writeEpochs(disk, `${DIR}/again`, epochs);
    expect(textOf(disk, 'again')).toBe('0\n1\n0 0\n');
  });

  test('partition.metadata', () => {
    const text = 'version: 0\ntopic_id: YTC-aEGUSOuQn-GOcGzdOA';
    const disk = diskWith({ 'partition.metadata': text });
    expect(readPartitionMetadata(disk, DIR)).toBe('YTC-aEGUSOuQn-GOcGzdOA');
    const own = diskWith();
    writePartitionMetadata(own, DIR, 'YTC-aEGUSOuQn-GOcGzdOA');
    expect(textOf(own, 'partition.metadata')).toBe(text);
  });
});

describe('of a data directory', () => {
  test('log-start-offset-checkpoint', () => {
    const text = '0\n3\nt1 2 5\nkjs1 0 1\nt1 0 1\n';
    const disk = diskWith({ 'log-start-offset-checkpoint': text });
    expect([...readOffsets(disk, `${DIR}/log-start-offset-checkpoint`)]).toEqual([
      ['t1-2', 5],
      ['kjs1-0', 1],
      ['t1-0', 1],
    ]);
    const entries = [
      { topic: 't1', index: 2, offset: 5 },
      { topic: 'kjs1', index: 0, offset: 1 },
      { topic: 't1', index: 0, offset: 1 },
    ];
    writeOffsets(disk, `${DIR}/again`, entries);
    expect(textOf(disk, 'again')).toBe(text);
  });

  test('a checkpoint that promises more lines than it has, or another version, is as if absent', () => {
    const disk = diskWith({ short: '0\n3\nt1 2 5\n', newer: '1\n1\nt1 2 5\n', torn: '0\n1\nt1 2' });
    for (const name of ['short', 'newer', 'torn', 'absent']) expect(readOffsets(disk, `${DIR}/${name}`).size).toBe(0);
  });

  test('meta.properties of KRaft and of ZooKeeper days', () => {
    const kraft = '#\n#Sat Nov 21 13:14:59 UTC 2026\nnode.id=1\ndirectory.id=g2YgGF_M2VFnVl0B8djyUw\nversion=1\ncluster.id=nv8Op_DgRWCqYmA0Sz-hrA\n';
    expect(readMeta(diskWith({ 'meta.properties': kraft }), DIR)).toEqual({ nodeId: 1, clusterId: 'nv8Op_DgRWCqYmA0Sz-hrA' });
    const older = '#\n#Sat Nov 21 13:14:59 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nversion=0\nbroker.id=0\n';
    expect(readMeta(diskWith({ 'meta.properties': older }), DIR)).toEqual({ nodeId: 0, clusterId: 'MkU3OEVBNTcwNTJENDM2Qg' });
    const own = diskWith();
    writeMeta(own, DIR, { nodeId: 1, clusterId: 'nv8Op_DgRWCqYmA0Sz-hrA', now: new Date(0) });
    expect(textOf(own, 'meta.properties')).toMatch(/^#\n#.*1970.*\nnode\.id=1\ndirectory\.id=\S{22}\nversion=1\ncluster\.id=nv8Op_DgRWCqYmA0Sz-hrA\n$/);
  });

  test('.kafka_cleanshutdown is there once', () => {
    const disk = diskWith({ [CLEAN_MARKER]: '{"version":0,"brokerEpoch":6}' });
    expect([takeCleanMarker(disk, DIR), takeCleanMarker(disk, DIR)]).toEqual([true, false]);
    leaveCleanMarker(disk, DIR);
    expect(JSON.parse(textOf(disk, CLEAN_MARKER)!)).toEqual({ version: 0, brokerEpoch: -1 });
    expect(takeCleanMarker(disk, DIR)).toBe(true);
  });
});
