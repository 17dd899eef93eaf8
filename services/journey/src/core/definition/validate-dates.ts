import {
  Calendar,
  type Festival,
  type Opening,
  Recurrence,
  type ScheduleTrigger,
  type TraitDate,
} from '#gen/recur/journey/v1/journey.ts';
import { FESTIVALS } from '../dates/festival.ts';
import { WEEKDAYS } from '../dates/opening.ts';
import { cronProblem } from '../dates/schedule.ts';
import { parseLocalTime } from './duration.ts';
import type { Violations } from './violations.ts';

const MAX_OFFSET = 366;

export function checkTraitDate(date: TraitDate, at: string, violations: Violations): void {
  const { trait, recurrence, calendar } = date;
  violations.check(
    trait !== '' && trait.length <= 100,
    `${at}.trait`,
    'must be the name of a trait, 1 to 100 characters',
  );
  checkOffset(date, at, violations);
  const { RECURRENCE_UNSPECIFIED, RECURRENCE_ONCE } = Recurrence;
  const recurs = recurrence >= RECURRENCE_UNSPECIFIED && recurrence <= RECURRENCE_ONCE;
  violations.check(recurs, `${at}.recurrence`, 'must be one of yearly, once');
  const known = calendar >= Calendar.CALENDAR_UNSPECIFIED && calendar <= Calendar.CALENDAR_LUNAR;
  violations.check(known, `${at}.calendar`, 'must be one of solar, lunar');
  const moves = calendar === Calendar.CALENDAR_LUNAR && recurrence === RECURRENCE_ONCE;
  violations.check(!moves, `${at}.calendar`, 'may be lunar only with recurrence yearly');
}

export function checkSchedule({ when, segmentId }: ScheduleTrigger, at: string, violations: Violations): void {
  violations.check(
    /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,126}$/.test(segmentId),
    `${at}.segment_id`,
    'must be the id of a segment',
  );
  if (when === undefined) violations.add(at, 'needs cron or festival');
  else if (when.$case === 'festival') checkFestival(when.value, `${at}.festival`, violations);
  else {
    const problem = cronProblem(when.value);
    if (problem !== undefined) violations.add(`${at}.cron`, problem);
  }
}

function checkFestival(festival: Festival, at: string, violations: Violations): void {
  violations.check(FESTIVALS.has(festival.name), `${at}.name`, `must be one of ${[...FESTIVALS.keys()].join(', ')}`);
  checkOffset(festival, at, violations);
}

function checkOffset(date: { offsetDays: number; at: string }, at: string, violations: Violations): void {
  const { offsetDays } = date;
  const near = Number.isInteger(offsetDays) && Math.abs(offsetDays) <= MAX_OFFSET;
  violations.check(near, `${at}.offset_days`, `must be a whole number from -${MAX_OFFSET} to ${MAX_OFFSET}`);
  const isTime = date.at === '' || parseLocalTime(date.at) !== undefined;
  violations.check(isTime, `${at}.at`, 'must be a time of day such as "10:00"');
}

export function checkOpening({ opens, closes, days }: Opening, at: string, violations: Violations): void {
  for (const [field, time] of Object.entries({ opens, closes })) {
    violations.check(parseLocalTime(time) !== undefined, `${at}.${field}`, 'must be a time of day such as "10:00"');
  }
  const known = days.length <= WEEKDAYS.length && days.every((day) => WEEKDAYS.includes(day));
  violations.check(known, `${at}.days`, `must be days of the week: ${WEEKDAYS.join(', ')}`);
}
