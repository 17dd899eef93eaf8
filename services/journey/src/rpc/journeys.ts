import { type Journey, JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import {
  type BroadcastRequest,
  type BroadcastResponse,
  CreateJourneyRequest,
  type CreateJourneyResponse,
  type DeleteJourneyRequest,
  type DeleteJourneyResponse,
  type EnrolCustomersRequest,
  type EnrolCustomersResponse,
  type ExplainJourneyRequest,
  type ExplainJourneyResponse,
  type GetJourneyRequest,
  type GetJourneyResponse,
  type JourneyServiceService,
  type ListEnrolmentsRequest,
  type ListEnrolmentsResponse,
  type ListJourneysRequest,
  type ListJourneysResponse,
  type ListJourneyVersionsRequest,
  type ListJourneyVersionsResponse,
  MoveEnrolmentsRequest,
  type MoveEnrolmentsResponse,
  type StartLiveRoomRequest,
  type StartLiveRoomResponse,
  UpdateJourneyRequest,
  type UpdateJourneyResponse,
  type ValidateJourneyRequest,
  type ValidateJourneyResponse,
} from '#gen/recur/journey/v1/service.ts';
import type { JourneyState } from '#gen/recur/journey/v1/state.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { moveVersions } from '../core/definition/moves.ts';
import { readJourney } from '../core/definition/read.ts';
import { checkTemplates, templateUses } from '../core/definition/templates.ts';
import { validateJourney } from '../core/definition/validate.ts';
import { changeJourney, changeRefusal, type Move, moveJourney, type UpdatePath } from '../core/definition/versions.ts';
import { Violations } from '../core/definition/violations.ts';
import type { Requests } from '../requests/requests.ts';
import type { JourneyStore, Write } from '../store/journey-store.ts';
import type { TemplateChannels } from '../store/template-channels.ts';
import type { Explanations } from './explain.ts';

/** Committed states of customers, merges followed. */
export interface JourneyStates {
  get(customerId: string): Promise<{ customerId: string; state: JourneyState } | undefined>;
}

const UPDATE_PATHS: readonly UpdatePath[] = ['name', 'description', 'definition'];
const MAX_PAGE_SIZE = 100;

type MoveRequest = { readonly id: string; readonly requestId: string };

/** recur.journey.v1.JourneyService */
export class JourneyHandlers implements Handlers<typeof JourneyServiceService> {
  readonly #store: JourneyStore;
  readonly #states: JourneyStates;
  readonly #requests: Requests;
  readonly #explanations: Explanations;
  readonly #templates: Pick<TemplateChannels, 'of'>;
  readonly #now: () => number;

  constructor(
    store: JourneyStore,
    states: JourneyStates,
    requests: Requests,
    explanations: Explanations,
    templates: Pick<TemplateChannels, 'of'>,
    now: () => number = Date.now,
  ) {
    this.#store = store;
    this.#requests = requests;
    this.#explanations = explanations;
    this.#templates = templates;
    this.#states = states;
    this.#now = now;
  }

  async createJourney({ journey, requestId }: CreateJourneyRequest, call: Call): Promise<CreateJourneyResponse> {
    const given = required(journey);
    refuse((await this.#check(given, 'journey')).found);
    const asked = CreateJourneyRequest.encode({ journey: given, requestId: '' }).finish();
    const write = writeOf(call, requestId, asked);
    return { journey: await this.#store.create(given, write, this.#now()) };
  }

  async getJourney({ id }: GetJourneyRequest): Promise<GetJourneyResponse> {
    return { journey: await this.#store.get(id) };
  }

  async listJourneys(request: ListJourneysRequest): Promise<ListJourneysResponse> {
    const { pageSize, pageToken, includeArchived = false } = request;
    const { journeys, nextPageToken } = await this.#store.list(Math.min(pageSize, MAX_PAGE_SIZE), pageToken);
    const isListed = ({ status }: Journey) => includeArchived || status !== JourneyStatus.JOURNEY_STATUS_ARCHIVED;
    return { journeys: journeys.filter(isListed), nextPageToken };
  }

  async updateJourney(request: UpdateJourneyRequest, call: Call): Promise<UpdateJourneyResponse> {
    const change = required(request.journey);
    const paths = pathsOf(request.updateMask);
    const asked = UpdateJourneyRequest.encode({ ...request, requestId: '' }).finish();
    const write = writeOf(call, request.requestId, asked);
    if (paths.includes('definition')) refuse((await this.#check(change, 'journey')).found);
    const now = this.#now();
    const journey = await this.#store.change(change.id, change.revision, write, (stored) => {
      const refusal = changeRefusal(stored);
      if (refusal !== undefined) throw failedPrecondition(`journey "${change.id}": ${refusal}`);
      return changeJourney(stored, change, paths, now);
    });
    return { journey };
  }

  async deleteJourney(request: DeleteJourneyRequest, call: Call): Promise<DeleteJourneyResponse> {
    await this.#store.delete(request.id, request.revision, writeOf(call, request.requestId));
    return {};
  }

  async listJourneyVersions({ id }: ListJourneyVersionsRequest): Promise<ListJourneyVersionsResponse> {
    return { versions: await this.#store.versions(id) };
  }

  async startJourney(request: MoveRequest, call: Call) {
    const violations = new Violations();
    await this.#checkTemplates(await this.#store.get(request.id), 'definition', violations);
    const [first] = violations.found;
    if (first) throw failedPrecondition(`journey "${request.id}": ${first.field}: ${first.description}`);
    return this.#move('start', request, call);
  }

  pauseJourney(request: MoveRequest, call: Call) {
    return this.#move('pause', request, call);
  }

  resumeJourney(request: MoveRequest, call: Call) {
    return this.#move('resume', request, call);
  }

  stopJourney(request: MoveRequest, call: Call) {
    return this.#move('stop', request, call);
  }

  async explainJourney(request: ExplainJourneyRequest, call: Call): Promise<ExplainJourneyResponse> {
    return this.#explanations.explain(request, await this.#store.get(request.journeyId), call);
  }

  archiveJourney(request: MoveRequest, call: Call) {
    return this.#move('archive', request, call);
  }

  restoreJourney(request: MoveRequest, call: Call) {
    return this.#move('restore', request, call);
  }

  async moveEnrolments(request: MoveEnrolmentsRequest, call: Call): Promise<MoveEnrolmentsResponse> {
    const { id, revision, requestId } = request;
    const asked = MoveEnrolmentsRequest.encode({ ...request, requestId: '' }).finish();
    const journey = await this.#store.change(id, revision, writeOf(call, requestId, asked), (stored) => {
      const moved = moveVersions(stored, request);
      if (moved instanceof Violations) throw invalidArgument(moved.found);
      return moved;
    });
    return { journey };
  }

  startLiveRoom(request: StartLiveRoomRequest, call: Call): Promise<StartLiveRoomResponse> {
    return this.#requests.startLiveRoom(request, call);
  }

  async validateJourney({ form }: ValidateJourneyRequest): Promise<ValidateJourneyResponse> {
    if (form?.$case === 'journey') {
      return { violations: (await this.#check(form.value, 'journey')).found, journey: form.value };
    }
    if (form?.$case !== 'text') throw invalidArgument([{ field: 'form', description: 'give a journey or text' }]);
    const { journey, violations } = readJourney(form.value);
    if (journey !== undefined) await this.#check(journey, '', violations);
    return { violations: violations.found, journey };
  }

  async listEnrolments({ customerId, journeyId }: ListEnrolmentsRequest): Promise<ListEnrolmentsResponse> {
    const known = customerId !== '' && customerId.length <= 200;
    refuse(known ? [] : [{ field: 'customer_id', description: 'must be 1 to 200 characters' }]);
    const found = await this.#states.get(customerId);
    if (found === undefined) return { customerId, enrolments: [], past: [], assignments: [] };
    const { enrolments, past, assignments } = found.state;
    const ofJourney = <T extends { journeyId: string }>(entries: T[]) =>
      journeyId === '' ? entries : entries.filter((entry) => entry.journeyId === journeyId);
    return {
      customerId: found.customerId,
      enrolments: ofJourney(enrolments),
      past: ofJourney(past),
      assignments,
    };
  }

  enrolCustomers(request: EnrolCustomersRequest, call: Call): Promise<EnrolCustomersResponse> {
    return this.#requests.enrol(request, call);
  }

  broadcast(request: BroadcastRequest, call: Call): AsyncIterable<BroadcastResponse> {
    return this.#requests.broadcast(request, call);
  }

  /** All that keeps a journey from being stored; the templates are looked for when nothing else is wrong. */
  async #check(journey: Journey, at: string, violations = new Violations()): Promise<Violations> {
    validateJourney(journey, at, violations);
    const position = at === '' ? 'definition' : `${at}.definition`;
    if (violations.found.length === 0) await this.#checkTemplates(journey, position, violations);
    return violations;
  }

  async #checkTemplates({ definition }: Journey, at: string, violations: Violations): Promise<void> {
    if (definition === undefined) return;
    const channels = await this.#templates.of(templateUses(definition).map(({ templateId }) => templateId));
    checkTemplates(definition, channels, at, violations);
  }

  async #move(move: Move, { id, requestId }: MoveRequest, call: Call): Promise<{ journey: Journey }> {
    const now = this.#now();
    const journey = await this.#store.change(id, 0, writeOf(call, requestId, Buffer.from(move)), (stored) => {
      const moved = moveJourney(stored, move, now);
      if (typeof moved === 'string') throw failedPrecondition(`journey "${id}": ${moved}`);
      return moved;
    });
    return { journey };
  }
}

function required(journey: Journey | undefined): Journey {
  if (journey === undefined) throw invalidArgument([{ field: 'journey', description: 'is missing' }]);
  return journey;
}

function refuse(violations: readonly { field: string; description: string }[]): void {
  if (violations.length > 0) throw invalidArgument(violations);
}

function pathsOf(mask: readonly string[] | undefined): readonly UpdatePath[] {
  if (mask === undefined || mask.length === 0) return UPDATE_PATHS;
  const unknown = mask.find((path) => !UPDATE_PATHS.includes(path as UpdatePath));
  if (unknown === undefined) return mask as UpdatePath[];
  const description = `"${unknown.slice(0, 60)}" is none of ${UPDATE_PATHS.join(', ')}`;
  throw invalidArgument([{ field: 'update_mask', description }]);
}

function writeOf(call: Call, requestId: string, asked: Uint8Array = new Uint8Array()): Write {
  return { requestId, asked, author: call.principal.name };
}
