export const goodWithin = 1_000

/** A page is good when it comes in time and has the article; an older article, or no sidebar, will do. */
export function isGood(
  { status, body, took }: { status: number; body: string; took: number },
  articleId: string,
): boolean {
  return status === 200 && took <= goodWithin && body.includes(`<article data-id="${articleId}">`)
}
