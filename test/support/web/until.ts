/** Waits for a condition that real sockets bring about; the bound is only there to end a test that has failed. */
export async function until(condition: () => boolean, what: string, within = 8_000): Promise<void> {
  const end = performance.now() + within
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${within} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
