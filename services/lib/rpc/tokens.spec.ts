import { expect, test } from 'vitest';
import { ApiTokens, mayCall } from './tokens.ts';

test.each([
  [['*'], true],
  [[], false],
  [['recur.profile.v1.'], true],
  [['recur.profile.v1.ProfileService/Get'], true],
  [['recur.profile.v1.ProfileService/Get*'], true],
  [['recur.profile.v1.ProfileService/List'], false],
  [['recur.segmentation.', 'recur.profile.'], true],
  [['profile'], false],
])('scopes %j may call GetProfile: %s', (scopes, may) => {
  expect(mayCall({ name: 'x', scopes }, 'recur.profile.v1.ProfileService/GetProfile')).toBe(may);
});

test('knows its tokens and no others', () => {
  const tokens = ApiTokens.parse(
    '{"first-token": {"name": "a", "scopes": ["*"]}, "second-token": {"name": "b", "scopes": []}}',
  );
  for (const _ of ['first time', 'known']) {
    expect(tokens.authenticate('first-token')?.name).toBe('a');
    expect(tokens.authenticate('second-token')?.name).toBe('b');
  }
  for (const wrong of ['', 'first-token ', 'First-token', '__proto__', 'constructor']) {
    expect(tokens.authenticate(wrong)).toBeUndefined();
  }
  expect(ApiTokens.none.authenticate('')).toBeUndefined();
});
