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
  'unionId',
  'openid',
  'openid_wx123',
  'wx_openid',
  'shop_account_tmall',
  'Member No',
  'device_id',
  'user.id',
])('%s is personal', (name) => {
  expect(isPersonalProperty(name)).toBe(true);
});

it.each(['suburb', 'postcode', 'state', 'name', '城市', 'device', 'member_level', 'open'])(
  '%s alone is not',
  (name) => {
    expect(isPersonalProperty(name)).toBe(false);
  },
);
