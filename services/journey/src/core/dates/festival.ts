import type { Day } from './day.ts';

interface FestivalDay {
  readonly day: Day;
  readonly lunar: boolean;
  /** Days after that day. */
  readonly plus: number;
}

const solar = (month: number, day: number): FestivalDay => ({
  day: { year: undefined, month, day },
  lunar: false,
  plus: 0,
});
const lunar = (month: number, day: number, plus = 0): FestivalDay => ({
  day: { year: undefined, month, day },
  lunar: true,
  plus,
});

/** Festivals by name, as in proto's Festival. */
export const FESTIVALS: ReadonlyMap<string, FestivalDay> = new Map([
  ['new_year', solar(1, 1)],
  ['spring_festival_eve', lunar(1, 1, -1)],
  ['spring_festival', lunar(1, 1)],
  ['lantern', lunar(1, 15)],
  ['dragon_boat', lunar(5, 5)],
  ['qixi', lunar(7, 7)],
  ['mid_autumn', lunar(8, 15)],
  ['double_ninth', lunar(9, 9)],
  ['national_day', solar(10, 1)],
  ['singles_day', solar(11, 11)],
]);
