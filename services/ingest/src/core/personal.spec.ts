import { expect, it } from 'vitest';
import { isPersonalProperty } from './personal.ts';

it.each([
  'given_name',
  'familyName',
  'Surname',
  'address_1',
  'street number',
  'date_of_birth',
  '姓名',
  '手机号',
  '详细地址',
])('%s is personal', (name) => {
  expect(isPersonalProperty(name)).toBe(true);
});

it.each(['suburb', 'postcode', 'state', 'name', '城市'])('%s alone is not', (name) => {
  expect(isPersonalProperty(name)).toBe(false);
});
