import { connect } from 'node:net'

/** Asks on a connection of its own; whether what comes back within a second is the answer that was hoped for. */
export function answered(port: number, question: string, hoped: (answer: string) => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const end = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    const socket = connect(port, '127.0.0.1')
      .setEncoding('latin1')
      .setTimeout(1_000, () => end(false))
      .on('connect', () => socket.write(question, 'latin1'))
      .on('data', (chunk) => {
        answer += String(chunk)
        if (hoped(answer)) end(true)
      })
      .on('error', () => end(false))
      .on('close', () => end(false))
  })
}
