import { expect, it } from 'vitest'
import { deviantart } from '../../docs/examples/incidents/deviantart/deviantart.js'
import { describeWith } from '../support/servers/describe-with.js'

describeWith('postgres', 'deviantART, played again', () => {
  it(
    'gives ids out twice and mixes pages without the guard, raising nothing; with it no id is given twice, every page is right, and the drift is seen before the swap',
    { timeout: 180_000 },
    async () => {
      const { claims } = await deviantart.play(() => undefined)
      const unguarded = claims.filter(({ says }) => says.startsWith('unguarded'))
      expect([unguarded.length, claims.length]).toEqual([3, 10])
      expect(claims.filter(({ holds }) => !holds).map(({ says }) => says)).toEqual([])
    },
  )
})
