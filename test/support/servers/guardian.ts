import { spawn } from 'node:child_process'

/** Outlives us by a moment, however we end, and clears up after us. */
export interface Guardian {
  /** The process to end; nothing when it has ended. */
  holds: (pid: number | undefined) => void
  /** There is nothing left to do. */
  release: () => void
}

// Its input ends when we do, also by SIGKILL, and when the worker thread that holds it does.
const script = `
running() { kill -0 "$pid" && ! grep -q ') Z ' "/proc/$pid/stat"; }
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -CONT "$pid"
  kill -"$2" "$pid"
  tries=0
  while running && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  if running; then kill -KILL "$pid"; fi
fi
# What prepares the directory may still be at work in it.
tries=0
until rm -rf -- "$1" || [ $tries -ge 100 ]; do sleep 0.1; tries=$((tries + 1)); done
`

/** Guards a directory and the one process that works in it. */
export function guard(directory: string, quit: NodeJS.Signals): Guardian {
  // A session of its own: an interrupt from the keyboard is for us.
  const child = spawn('sh', ['-c', script, 'guardian', directory, quit.slice('SIG'.length)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  return {
    holds: (pid) => void child.stdin.write(`${pid ?? ''}\n`),
    release: () => void child.stdin.end('\n'),
  }
}
