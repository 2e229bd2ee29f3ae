/** The expected orders were printed by `new HashMap` and `new HashMap(map)` of OpenJDK 17. */
import { describe, expect, it } from 'vitest';
import { javaMapOrder } from '../../../src/lib/java-hash-order.ts';

const rows: [string, string, string][] = [
  ['file,basename,timestamp,host', 'file,basename,host,timestamp', 'host,file,basename,timestamp'],
  [
    'topic,key,timestamp,file,basename,host,severity,facility,priority,id,type,source,zz',
    'severity,zz,source,priority,type,file,basename,host,topic,id,facility,key,timestamp',
    'severity,zz,source,priority,type,file,basename,host,topic,id,facility,key,timestamp',
  ],
  ['Aa,BB,C#,x,y', 'Aa,BB,C#,x,y', 'Aa,BB,C#,x,y'],
  ['中文,头,flume.syslog.status', '中文,头,flume.syslog.status', '中文,头,flume.syslog.status'],
  ['timestamp,host', 'host,timestamp', 'host,timestamp'],
  ['k1,k2,k3,k4,k5,k6,k7,k8,k9,k10,k11,k12,k13', 'k1,k2,k3,k4,k5,k11,k6,k10,k7,k13,k8,k12,k9', 'k1,k2,k3,k4,k5,k11,k6,k10,k7,k13,k8,k12,k9'],
];

describe('javaMapOrder', () => {
  it.each(rows)('orders %s as a new HashMap and as a copy', (put, fresh, copy) => {
    const keys = put.split(',');
    expect(javaMapOrder(keys).join(',')).toBe(fresh);
    expect(javaMapOrder(keys, keys.length).join(',')).toBe(copy);
  });

  it('leaves its argument alone and answers empty maps', () => {
    const keys = ['timestamp', 'host'];
    javaMapOrder(keys);
    expect(keys).toEqual(['timestamp', 'host']);
    expect(javaMapOrder([])).toEqual([]);
  });
});
