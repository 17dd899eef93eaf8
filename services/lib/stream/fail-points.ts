/**
 * Named places where a test can make the process die: FAIL_POINT="profile.after_publish:3" kills it, as kill -9 would, the
 * third time it gets there.
 */
const [armed, count] = (process.env.FAIL_POINT ?? '').split(':');
let left = Number(count ?? 1);

export function failPoint(stage: string, point: FailPoint): void {
  if (!armed || armed !== `${stage}.${point}`) return;
  if (--left === 0) process.kill(process.pid, 'SIGKILL');
}

export type FailPoint = 'after_read' | 'before_publish' | 'after_publish' | 'before_commit' | 'after_commit';
export const FAIL_POINTS: readonly FailPoint[] = [
  'after_read',
  'before_publish',
  'after_publish',
  'before_commit',
  'after_commit',
];
