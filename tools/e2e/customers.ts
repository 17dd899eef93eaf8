import type { ListEnrolmentsResponse } from '#gen/recur/journey/v1/service.ts';
import type { ListMessagesResponse } from '#gen/recur/messaging/v1/messaging_service.ts';
import type { Profile } from '#gen/recur/profile/v1/profile.ts';
import type { ListCustomerSegmentsResponse } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Api } from '#tools/library/api.ts';

const BATCH = 500;
/** Calls under way at once. */
const TOGETHER = 32;

/** Profiles of all of these, in their order. */
export async function profilesOf(api: Api, customerIds: readonly string[]): Promise<Profile[]> {
  const profiles: Profile[] = [];
  for (let i = 0; i < customerIds.length; i += BATCH) {
    const batch = customerIds.slice(i, i + BATCH);
    const answer = await api.profile.batchGetProfiles({ customerIds: batch, readMask: undefined });
    if (answer.notFound.length > 0) throw new Error(`No profile of ${answer.notFound.slice(0, 5).join(', ')} …`);
    profiles.push(...answer.profiles);
  }
  return profiles;
}

export function segmentsOf(api: Api, customerIds: readonly string[]): Promise<ListCustomerSegmentsResponse[]> {
  return eachOf(customerIds, (customerId) => api.segmentation.listCustomerSegments({ customerId }));
}

export function enrolmentsOf(api: Api, customerIds: readonly string[]): Promise<ListEnrolmentsResponse[]> {
  return eachOf(customerIds, (customerId) => api.journey.listEnrolments({ customerId, journeyId: '' }));
}

/** Messages; empty for customers messaging never heard of. */
export function messagesOf(api: Api, customerIds: readonly string[]): Promise<ListMessagesResponse[]> {
  return eachOf(customerIds, (customerId) =>
    api.messaging.listMessages({ customerId, pageSize: 50, pageToken: '' }).catch((error: { code?: number }) => {
      if (error.code === NOT_FOUND) return { customerId, messages: [], nextPageToken: '' };
      throw error;
    }),
  );
}

const NOT_FOUND = 5;

/** In the order of the ids. */
async function eachOf<T>(ids: readonly string[], call: (id: string) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  let next = 0;
  const walk = async () => {
    for (let i = next++; i < ids.length; i = next++) answers[i] = await call(ids[i] as string);
  };
  await Promise.all(Array.from({ length: TOGETHER }, walk));
  return answers;
}
