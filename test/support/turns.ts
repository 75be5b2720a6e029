/** Lets so many rounds of promise reactions run, and no more: the steps between which races are lost. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}
