/** What became of a promise so far, without waiting for it. */
export interface Watched<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
}

export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending' }
  promise.then(
    (value) => {
      watched.state = 'resolved'
      watched.value = value
    },
    (error: unknown) => {
      watched.state = 'rejected'
      watched.error = error
    },
  )
  return watched
}
