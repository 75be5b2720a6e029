export const upstreamNames = ['articles', 'recommendations', 'activity'] as const
export type UpstreamName = (typeof upstreamNames)[number]

/**
 * - `healthy`: answers in 5 to 20 ms
 * - `hang`: accepts the request and never answers; when that ends, its connections are reset, as by a restart
 * - `fail`: in turn a status 500 and a reset connection
 * - `slow`: the right answer, after 1.5 s
 */
export const behaviours = ['healthy', 'hang', 'fail', 'slow'] as const
export type Behaviour = (typeof behaviours)[number]

export const isUpstreamName = (text: unknown): text is UpstreamName => upstreamNames.some((name) => name === text)

export const isBehaviour = (text: unknown): text is Behaviour => behaviours.some((behaviour) => behaviour === text)
