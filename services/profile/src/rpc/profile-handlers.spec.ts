import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import type { GetProfileRequest } from '#gen/recur/profile/v1/profile_service.ts';
import { applyEvent, type Facts, newFacts, ShopZone } from '#lib/facts/facts.ts';
import { Call } from '#lib/rpc/call.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import { NO_DEFINITIONS } from '../core/computed-view.ts';
import { ProfileState } from '../core/state.ts';
import { GrpcPeerParts, type PeerClients } from '../peers/parts.ts';
import { ProfileHandlers, type ProfileParts } from './profile-handlers.ts';

const NOW = Date.parse('2026-03-31T04:00:00Z');
const zone = new ShopZone('Asia/Shanghai');

function known(): Facts {
  const traits = [
    { name: 'city', json: Buffer.from('"Xi’an"') },
    { name: 'email', sealed: Buffer.from('"a@example.com"') },
  ];
  const event = Event.fromPartial({ type: EventType.EVENT_TYPE_IDENTIFY, timeMs: NOW, source: 'web', traits });
  return applyEvent(newFacts(), event, NOW, zone).facts;
}

function call(...scopes: string[]): Call {
  const raw = {
    metadata: new Metadata(),
    cancelled: false,
    getDeadline: () => NOW,
    on: () => undefined,
  };
  return new Call('recur.profile.v1.ProfileService/GetProfile', { name: 'test', scopes }, NOW, raw);
}

function handlers(parts: Partial<ProfileParts> = {}, clients: PeerClients = {}): ProfileHandlers {
  const states = new Map([['c2', new ProfileState(known())]]);
  const survivors = new Map([['c1', 'c2']]);
  return new ProfileHandlers({
    states: {
      getMany: async (ids) =>
        ids.map((id) => {
          const customerId = survivors.get(id) ?? id;
          const state = states.get(customerId);
          return state && { customerId, state };
        }),
    },
    clock: () => NOW,
    definitions: () => NO_DEFINITIONS,
    zone,
    open: (sealed) => Buffer.from(sealed).toString(),
    lookup: { find: async ({ value }) => (value === 'a@example.com' ? 'c1' : undefined) },
    peers: new GrpcPeerParts(clients),
    timeline: { list: async () => ({ events: [], nextPageToken: '' }) },
    changes: { stream: async function* () {} },
    ...parts,
  });
}

const byId = (value: string, readMask?: string[]): GetProfileRequest => ({
  customer: { $case: 'customerId', value },
  readMask,
});
const failure = async (work: Promise<unknown>): Promise<RpcError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
};

describe('GetProfile', () => {
  test('a merged customer answers for the one it became', async () => {
    const { profile } = await handlers().getProfile(byId('c1'), call('*'));
    expect(profile).toMatchObject({ customerId: 'c2', sources: ['web'] });
  });

  test('personal traits only with the scope, and only with keys', async () => {
    const email = async (scopes: string[], parts: Partial<ProfileParts> = {}) =>
      (await handlers(parts).getProfile(byId('c2'), call(...scopes))).profile?.traits.find((t) => t.name === 'email');
    const masked = { valueJson: '', masked: true };
    expect(await email(['recur.profile.v1.'])).toMatchObject(masked);
    expect(await email(['*'])).toMatchObject({ valueJson: '"a@example.com"', masked: false });
    expect(await email(['recur.profile.v1.', 'profile.pii'])).toMatchObject({ masked: false });
    expect(await email(['*'], { open: undefined })).toMatchObject(masked);
    const open = () => {
      throw new Error('key 9 is not in the key file');
    };
    expect(await email(['*'], { open })).toMatchObject(masked);
  });

  test('by identifier', async () => {
    const by = (value: string) =>
      handlers().getProfile(
        { customer: { $case: 'identifier', value: { type: 'email', value } }, readMask: [] },
        call('*'),
      );
    expect((await by('a@example.com')).profile?.customerId).toBe('c2');
    const error = await failure(by('secret@example.com'));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(error.message).not.toContain('secret');
  });

  test('bad requests name field and rule', async () => {
    const code = async (request: GetProfileRequest) => {
      const error = await failure(handlers().getProfile(request, call('*')));
      return [error.code, error.violations[0]?.field ?? error.message];
    };
    expect(await code(byId('nobody'))).toEqual([status.NOT_FOUND, 'There is no customer "nobody".']);
    expect(await code(byId(''))).toEqual([status.INVALID_ARGUMENT, 'customer_id']);
    expect(await code(byId('x'.repeat(129)))).toEqual([status.INVALID_ARGUMENT, 'customer_id']);
    expect(await code({ customer: undefined, readMask: undefined })).toEqual([status.INVALID_ARGUMENT, 'customer']);
    expect(await code(byId('c2', ['nose']))).toEqual([status.INVALID_ARGUMENT, 'read_mask']);
    const identifier = { $case: 'identifier' as const, value: { type: 'E-Mail', value: 'a' } };
    expect(await code({ customer: identifier, readMask: undefined })).toEqual([
      status.INVALID_ARGUMENT,
      'identifier.type',
    ]);
  });

  test('a store that does not answer is UNAVAILABLE', async () => {
    const states = { getMany: () => Promise.reject(new Error('Command timed out')) };
    expect((await failure(handlers({ states }).getProfile(byId('c2'), call('*')))).code).toBe(status.UNAVAILABLE);
  });
});

describe('what other services give', () => {
  const all = ['segments', 'rfm', 'journeys', 'messages'];

  test('comes when asked for, and only then', async () => {
    const asked: string[] = [];
    const clients: PeerClients = {
      segmentation: {
        listCustomerSegments: async ({ customerId }) => {
          asked.push(`segmentation ${customerId}`);
          const segments = [{ segmentId: 'vip', displayName: 'VIP', enteredMs: 1 }];
          const rfm = { id: 'lost', englishName: 'Lost', chineseName: '流失', sinceMs: 1, reason: '' };
          return { customerId, segments, rfm, lifecycle: undefined, rfmScores: undefined };
        },
      },
      journey: { listEnrolments: async () => ({ customerId: 'c2', enrolments: [], past: [], assignments: [] }) },
      messaging: {
        listMessages: () => Promise.reject(new RpcError(status.NOT_FOUND, 'messaging knows nothing of it')),
      },
    };
    const { profile: plain } = await handlers({}, clients).getProfile(byId('c2'), call('*'));
    expect(plain?.segments).toEqual([]);
    expect(asked).toEqual([]);
    const { profile } = await handlers({}, clients).getProfile(byId('c2', all), call('*'));
    expect(profile).toMatchObject({ segments: [{ segmentId: 'vip' }], rfm: { id: 'lost' }, missing: [], traits: [] });
    const { profile: one } = await handlers({}, clients).getProfile(byId('c2', ['rfm']), call('*'));
    expect(one).toMatchObject({ segments: [], rfm: { id: 'lost' } });
  });

  test('is named as missing when it does not come', async () => {
    const clients: PeerClients = {
      segmentation: { listCustomerSegments: () => Promise.reject(new RpcError(status.DEADLINE_EXCEEDED, 'late')) },
      journey: { listEnrolments: () => Promise.reject(new RpcError(status.PERMISSION_DENIED, 'no')) },
    };
    const { profile } = await handlers({}, clients).getProfile(byId('c2', ['traits', ...all]), call('*'));
    expect(profile?.traits).toHaveLength(2);
    expect([...(profile?.missing ?? [])].sort((a, b) => (a.field < b.field ? -1 : 1))).toEqual([
      { field: 'journeys', reason: 'journey: permission denied' },
      { field: 'messages', reason: 'messaging: its address is not configured' },
      { field: 'rfm', reason: 'segmentation: deadline exceeded' },
      { field: 'segments', reason: 'segmentation: deadline exceeded' },
    ]);
  });
});

describe('BatchGetProfiles', () => {
  test('in order, with those not found by name', async () => {
    const request = { customerIds: ['c2', 'nobody', 'c1'], readMask: ['sources'] };
    const response = await handlers().batchGetProfiles(request, call('*'));
    expect(response.profiles.map((p) => p.customerId)).toEqual(['c2', 'c2']);
    expect(response.notFound).toEqual(['nobody']);
  });

  test('bounded', async () => {
    const batch = (customerIds: string[], readMask: string[] = []) =>
      failure(handlers().batchGetProfiles({ customerIds, readMask }, call('*')));
    expect((await batch([])).violations[0]?.field).toBe('customer_ids');
    expect((await batch(Array.from({ length: 1001 }, () => 'c'))).message).toContain('at most 1000');
    expect((await batch(['c2', ''])).violations[0]?.field).toBe('customer_ids[1]');
    expect((await batch(['c2'], ['segments'])).violations[0]?.field).toBe('read_mask');
  });
});

describe('ListEvents', () => {
  test('checks, and passes on', async () => {
    const queries: unknown[] = [];
    const timeline: ProfileParts['timeline'] = {
      list: async (query) => {
        queries.push(query);
        return { events: [], nextPageToken: 'next' };
      },
    };
    const list = (pageSize: number, names: string[] = []) =>
      handlers({ timeline }).listEvents({ customerId: 'c2', pageSize, pageToken: 't', names, beforeMs: 0 }, call('*'));
    expect((await list(0)).nextPageToken).toBe('next');
    expect(queries).toEqual([{ customerId: 'c2', pageSize: 50, pageToken: 't', names: [], beforeMs: 0 }]);
    expect((await failure(list(501))).violations[0]?.field).toBe('page_size');
    expect((await failure(list(-1))).violations[0]?.field).toBe('page_size');
    expect((await failure(list(1, ['']))).violations[0]?.field).toBe('names[0]');
  });
});
