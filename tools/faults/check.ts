import { profilesOf, segmentsOf } from '#tools/e2e/customers.ts';
import { mailsIn } from '#tools/e2e/mails.ts';
import type { Api } from '#tools/library/api.ts';
import { sql } from '#tools/library/sql.ts';
import type { Ledger } from './ledger.ts';
import { emailOf } from './load.ts';

/** What is short, and what is too much, against what was acknowledged. */
export interface Balance {
  readonly what: string;
  /** How many there must be. */
  readonly expected: number;
  readonly lost: number;
  readonly duplicated: number;
  /** The first few that are wrong. */
  readonly examples: readonly string[];
}

export const SEGMENT = 'faults_buyers';
const PAGES = 16;

/** Holds every place an event must have reached against the ledger. */
export async function balances(
  ledger: Ledger,
  { api, clickhouseHttp, mailboxHttp }: { api: Api; clickhouseHttp: string; mailboxHttp: string },
): Promise<Balance[]> {
  const stored = await storedEvents(clickhouseHttp);
  const people = ledger.byPerson();
  const customers = customersOf(ledger, stored);
  const ids = [...customers.values()].flatMap((all) => [...all]);
  const persons = [...customers].flatMap(([person, all]) => [...all].map(() => person));
  return [
    eventsInTable(ledger, stored),
    oneCustomerEach(customers, people.size),
    ...profiles(await profilesOf(api, ids), persons, people),
    segments(await segmentsOf(api, ids), persons, people),
    await enteredOnce(clickhouseHttp, ids, persons, people),
    mails(await mailsIn(mailboxHttp), people),
  ];
}

interface Stored {
  readonly rows: number;
  readonly customer: string;
}

async function storedEvents(url: string): Promise<Map<string, Stored>> {
  const stored = new Map<string, Stored>();
  for (let page = 0; page < PAGES; page++) {
    const rows = await sql<{ id: string; rows: number; customer: string }>(
      url,
      `SELECT message_id AS id, count() AS rows, any(customer_id) AS customer FROM events
       WHERE cityHash64(message_id) % ${PAGES} = ${page} GROUP BY message_id`,
    );
    for (const { id, rows: count, customer } of rows) stored.set(id, { rows: count, customer });
  }
  return stored;
}

function eventsInTable(ledger: Ledger, stored: ReadonlyMap<string, Stored>): Balance {
  const tally = new Tally('events in ClickHouse');
  for (const id of ledger.acknowledged.keys()) tally.compare(id, stored.get(id)?.rows ?? 0, 1);
  for (const id of stored.keys()) if (!ledger.acknowledged.has(id)) tally.compare(`${id} (nobody sent it)`, 1, 0);
  return tally.balance();
}

/** The customers of each person, by what identity made of their events. */
function customersOf(ledger: Ledger, stored: ReadonlyMap<string, Stored>): Map<number, Set<string>> {
  const customers = new Map<number, Set<string>>();
  for (const [id, { person }] of ledger.acknowledged) {
    const customer = stored.get(id)?.customer;
    if (customer === undefined) continue;
    const all = customers.get(person) ?? new Set();
    all.add(customer);
    customers.set(person, all);
  }
  return customers;
}

function oneCustomerEach(customers: ReadonlyMap<number, ReadonlySet<string>>, people: number): Balance {
  const tally = new Tally('customers (one a person)');
  for (const [person, all] of customers) tally.compare(`person ${person}`, all.size, 1);
  for (let missing = people - customers.size; missing > 0; missing--) tally.compare('a person', 0, 1);
  return tally.balance();
}

function profiles(
  found: Awaited<ReturnType<typeof profilesOf>>,
  persons: readonly number[],
  people: ReturnType<Ledger['byPerson']>,
): Balance[] {
  const events = new Tally('events in profiles');
  const money = new Tally('hundredths spent, in profiles');
  for (const [i, profile] of found.entries()) {
    const person = persons[i] as number;
    const due = people.get(person);
    const count = (name: string) => profile.events.find((e) => e.name === name)?.count ?? 0;
    events.compare(`person ${person} signed up`, count('Signed Up'), due?.signedUp ?? 0);
    events.compare(`person ${person} viewed`, count('Product Viewed'), due?.viewed ?? 0);
    events.compare(`person ${person} ordered`, profile.orders?.placed ?? 0, due?.ordered ?? 0);
    money.compare(`person ${person}`, (profile.orders?.grossMicros ?? 0) / 10_000, due?.cents ?? 0);
  }
  return [events.balance(), money.balance()];
}

function segments(
  found: Awaited<ReturnType<typeof segmentsOf>>,
  persons: readonly number[],
  people: ReturnType<Ledger['byPerson']>,
): Balance {
  const tally = new Tally('members of a segment');
  for (const [i, { segments: all }] of found.entries()) {
    const is = all.filter(({ segmentId }) => segmentId === SEGMENT).length;
    tally.compare(`person ${persons[i]}`, is, due(people.get(persons[i] as number)?.ordered));
  }
  return tally.balance();
}

/** A segment is entered once, and the log tells so once. */
async function enteredOnce(
  url: string,
  ids: readonly string[],
  persons: readonly number[],
  people: ReturnType<Ledger['byPerson']>,
): Promise<Balance> {
  const rows = await sql<{ customer: string; times: number }>(
    url,
    `SELECT customer_id AS customer, count() AS times FROM segment_changes WHERE segment_id = '${SEGMENT}' AND entered GROUP BY customer_id`,
  );
  const times = new Map(rows.map(({ customer, times: count }) => [customer, count]));
  const tally = new Tally('entries into it, in ClickHouse');
  for (const [i, id] of ids.entries()) {
    tally.compare(`person ${persons[i]}`, times.get(id) ?? 0, due(people.get(persons[i] as number)?.ordered));
  }
  return tally.balance();
}

const due = (orders = 0): number => (orders > 0 ? 1 : 0);

/** Who signed up gets one mail: a step of a journey. */
function mails(found: readonly string[], people: ReturnType<Ledger['byPerson']>): Balance {
  const arrived = new Map<string, number>();
  for (const mail of found) {
    const [to = ''] = mail.split(' ');
    arrived.set(to, (arrived.get(to) ?? 0) + 1);
  }
  const tally = new Tally('mails (one a person)');
  for (const [person, { signedUp }] of people) {
    tally.compare(emailOf(person), arrived.get(emailOf(person)) ?? 0, due(signedUp));
  }
  return tally.balance();
}

const EXAMPLES = 3;

class Tally {
  #expected = 0;
  #lost = 0;
  #duplicated = 0;
  readonly #examples: string[] = [];
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  compare(who: string, is: number, should: number): void {
    this.#expected += should;
    if (is === should) return;
    if (is < should) this.#lost += should - is;
    else this.#duplicated += is - should;
    if (this.#examples.length < EXAMPLES) this.#examples.push(`${who}: ${is} instead of ${should}`);
  }

  balance(): Balance {
    const [expected, lost, duplicated] = [this.#expected, this.#lost, this.#duplicated];
    return { what: this.#what, expected, lost, duplicated, examples: this.#examples };
  }
}
