export const goodWithin = 1_000

/** A page is good when it comes in time and has the article; an older article, or no sidebar, will do. */
export const isGood = (status: number, body: string, articleId: string): boolean =>
  status === 200 && body.includes(`<article data-id="${articleId}">`)
