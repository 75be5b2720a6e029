export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: number

  constructor(status: number) {
    super(`The upstream answered with status ${status}`)
    this.status = status
  }
}

/** Plain fetch. Whoever gives no signal waits for as long as the other side likes. */
export async function getJson<T>(base: string, id: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(`${base}/${encodeURIComponent(id)}`, signal ? { signal } : {})
  if (!response.ok) throw new HttpError(response.status)
  return (await response.json()) as T
}
