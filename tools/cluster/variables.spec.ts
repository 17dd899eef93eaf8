import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Endpoints } from './endpoints.ts';
import type { Member } from './roles.ts';
import { variablesOf } from './variables.ts';

const member = (role: Member['role'], ports: Member['ports']): Member => ({ role, name: role, replica: 1, ports });
const members = [member('ingest', { http: 1, grpc: 2 }), member('profile', { http: 3, grpc: 4 })];
const files = { identifierKey: '', sealingKey: '', writeKeys: '', apiTokens: '', serviceToken: '' };
const secrets = { files, writeKey: "wk_o'k $(x)", writeKeys: {}, apiToken: 'at_1' };

test('what a shell reads is what there is, and nothing of it is run', () => {
  const text = variablesOf({ endpoints: new Endpoints(members, secrets), members: members as never });
  const read = execFileSync('sh', [
    '-c',
    `${text}\nprintf '%s|' "$WRITE_KEY" "$API_TOKEN" "$INGEST_URL" "$PROFILE_ADDR" "$PROFILE_HTTP"`,
  ]);
  expect(read.toString()).toBe("wk_o'k $(x)|at_1|http://127.0.0.1:1|127.0.0.1:4|http://127.0.0.1:3|");
  expect(text).not.toMatch(/SQL_URL|MAILBOX_URL|JOURNEY_ADDR/);
});
