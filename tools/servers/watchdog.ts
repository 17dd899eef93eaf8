import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends what this process started when this process ends, however it ends. A shell reads from a pipe whose other end
 * only this process holds: when it dies, even by kill -9, the shell sees the end of the pipe, and ends the processes
 * and deletes the folders it was told about. One small shell for the whole process; works wherever there is `sh`.
 */
const SCRIPT = `
trap '' INT TERM HUP
runs() { # one that has ended, and that nobody has taken note of (Z), does not
  kill -0 $1 || return 1
  case $(cat /proc/$1/stat) in *') Z '*) return 1 ;; esac
}
live=' ' dirs=''
while IFS=' ' read -r what value; do
  case $what in
    +) live="$live$value " ;;
    -) case $live in *" $value "*) live="\${live%% $value *} \${live#* $value }" ;; esac ;;
    d) dirs="$dirs$value
" ;;
    q) exit 0 ;;
  esac
done
for pid in $live; do kill -TERM $pid; kill -CONT $pid; done 2>/dev/null
i=0
while [ $i -lt 50 ]; do
  left=''
  for pid in $live; do runs $pid && left=1; done 2>/dev/null
  [ -z "$left" ] && break
  sleep 0.1; i=$((i + 1))
done
for pid in $live; do kill -KILL $pid; done 2>/dev/null
printf %s "$dirs" | while IFS= read -r dir; do [ -n "$dir" ] && rm -rf "$dir"; done
`;

let shell: ChildProcess | undefined;

function tell(line: string): void {
  if (shell === undefined || shell.exitCode !== null) {
    // Its own session: a Ctrl-C in the terminal must not take the watchdog with it.
    shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    shell.stdin?.on('error', () => {});
    shell.on('error', () => {});
    // It must not keep this process alive.
    shell.unref();
    (shell.stdin as unknown as { unref?: () => void }).unref?.();
  }
  shell.stdin?.write(`${line}\n`);
}

/** This process must not outlive us. */
export function endWithUs(pid: number): void {
  tell(`+ ${pid}`);
}

/** It has ended (its number may soon be another's), or it may outlive us after all. */
export function forget(pid: number): void {
  tell(`- ${pid}`);
}

/** Deletes a folder when we are gone. */
export function deleteWithUs(dir: string): void {
  if (dir.includes('\n')) throw new Error(`A folder's name may not hold a line break: ${JSON.stringify(dir)}`);
  tell(`d ${dir}`);
}
