import { describe, expect, it } from 'vitest';
import { fieldsOf, type Options, readOptions } from './options.ts';

const read = (...args: string[]) => readOptions(args) as Options;

describe('options', () => {
  it.each([
    [['a.csv', 'b.csv'], 'one file at a time'],
    [[], 'name a CSV file, or --shop'],
    [['a.csv', '--shop'], 'name a CSV file, or --shop'],
    [['a.csv', '--id', 'customer'], '--id: "customer" must be COLUMN=TYPE'],
    [['a.csv', '--propose'], 'say which column names a customer'],
    [['--shop', '--id', 'a=user_id'], 'known without'],
    [['a.csv', '--precision', '1'], '--precision: 1 must be between 0 and 1'],
    [['a.csv', '--field', 'town=city'], '--field: "town=city" must be COLUMN=KIND'],
    [['a.csv', '--field', 'town=text:village'], 'ROLE one of person, family, household'],
  ])('%j: %s', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });

  it('columns are compared as told, or by their names', () => {
    const options = read('a.csv', '--id', 'no=user_id', '--field', 'vip=code:person', '--ignore', 'suburb');
    const specs = fieldsOf(['no', 'name', 'suburb', 'vip', 'remarks'], options);
    expect(specs.map(({ name, kind, role }) => `${name} ${kind} ${role}`)).toEqual([
      'name (given) name person',
      'name (surname) name family',
      'vip code person',
    ]);
    expect(() => fieldsOf(['name'], options)).toThrow('there is no column vip, suburb, no. There are: name');
    expect(() => fieldsOf(['remarks'], read('a.csv'))).toThrow('no column is known by its name');
  });

  it('of other settings is another run, of the same the same', () => {
    expect(read('a.csv').settings).toBe(read('a.csv', '--quiet', '--out', 'x').settings);
    expect(read('a.csv').settings).not.toBe(read('a.csv', '--precision', '0.9').settings);
  });
});
