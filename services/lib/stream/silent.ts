import type { Effects } from './processor.ts';

const nothing = () => {};

/** Where the effects of a history that is folded again go. */
export const SILENT: Effects = {
  emit: nothing,
  setTimer: nothing,
  cancelTimer: nothing,
  setPending: nothing,
  clearPending: nothing,
  handOver: nothing,
  deadLetter: nothing,
};
