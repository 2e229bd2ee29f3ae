/** Command lines of the Kafka tools: jopt-simple's rules, and what web pages do to them. */
import { describe, expect, test } from 'vitest';
import { optionTable, parseOptions, type ToolOption } from '../../../src/cli/kafka-tool/options.ts';

const SPECS: readonly ToolOption[] = [
  { name: 'bootstrap-server', value: 'String: server', doc: 'Brokers.' },
  { name: 'zookeeper', value: 'String: hosts', doc: 'Older.' },
  { name: 'topic', value: 'String: topic', doc: 'The topic.' },
  { name: 'topic-id', value: 'String: id', doc: 'The id.' },
  { name: 'create', doc: 'Create.' },
  { name: 'config', value: 'String: k=v', repeatable: true, doc: 'A config.' },
  { name: 'state', value: 'String', optional: true, doc: 'State.' },
  { name: 'shift-by', value: 'Long', doc: 'May be negative.' },
  { name: 'props', value: 'K=V', many: true, doc: 'Several.' },
];
const parse = (line: string) => parseOptions(line.split(' '), SPECS);

describe('as jopt-simple', () => {
  test('values, switches, equal signs, single dashes, beginnings, repetitions', () => {
    const options = parse('--topic t -create --config=a=b --config c=d --boot x:1 --shift-by -3');
    expect(options.get('topic')).toBe('t');
    expect(options.has('create')).toBe(true);
    expect(options.all('config')).toEqual(['a=b', 'c=d']);
    expect(options.get('bootstrap-server')).toBe('x:1');
    expect(options.int('shift-by', 0)).toBe(-3);
    expect(options.notices).toEqual([]);
  });

  test('optional values and lists of words end at the next option', () => {
    expect(parse('--state --topic t').get('state')).toBeUndefined();
    expect(parse('--state Empty,Stable').get('state')).toBe('Empty,Stable');
    const options = parse('--props a=1 b=2 c=3 --topic t');
    expect(options.all('props')).toEqual(['a=1', 'b=2', 'c=3']);
    expect(options.get('topic')).toBe('t');
  });

  test('what is wrong is said in its words, with the nearest option', () => {
    expect(() => parse('--bogus')).toThrow(/^bogus is not a recognized option$/);
    expect(() => parse('--tpoic x')).toThrow('tpoic is not a recognized option; did you mean --topic?');
    expect(() => parse('--create --topic')).toThrow('Option topic requires an argument');
    expect(() => parse('--topic a --topic b').get('topic')).toThrow('Found multiple arguments for option topic, but you asked for only one');
    expect(() => parse('--shift-by x').int('shift-by', 0)).toThrow("Cannot parse argument 'x' of option shift-by");
    expect(() => parse('--create').require('topic')).toThrow('Missing required argument "[topic]"');
  });

  test('the table wraps as wide as jopt-simple’s', () => {
    const table = optionTable(SPECS).split('\n');
    expect(table[0]).toBe('Option                                   Description                             ');
    expect(table.every((line) => line.length <= 81)).toBe(true);
  });
});

describe('pasted from web pages', () => {
  test.each([
    ['—topic t —create', '—topic'],
    ['–topic t --create', '–topic'],
    ['- -topic t - -create', '- -topic'],
    ['- - topic t --create', '- - topic'],
    ['— topic t ——create', '— topic'],
    ['-–topic t -–create', '-–topic'],
    ['—topic=t —create', '—topic=t'],
  ])('%s', (line, written) => {
    const options = parse(line);
    expect(options.get('topic')).toBe('t');
    expect(options.has('create')).toBe(true);
    expect(options.notices[0]).toContain(`"${written}" is not written with plain hyphens`);
  });

  test('a list with blanks after its commas is one value, also before the next option', () => {
    const options = parse('--zookeeper master:2181, slave1:2181,slave2:2181 --topic t');
    expect(options.get('zookeeper')).toBe('master:2181,slave1:2181,slave2:2181');
    expect(parse('--bootstrap-server a:1 ,b:2 --topic t').get('bootstrap-server')).toBe('a:1,b:2');
    expect(options.rest).toEqual([]);
  });

  test('a long dash in a value stays', () => {
    const options = parse('--topic a—b --create');
    expect(options.get('topic')).toBe('a—b');
    expect(options.notices).toEqual([]);
  });
});
