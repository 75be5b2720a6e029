import { expect, it } from 'vitest'
import { muut } from '../../docs/examples/incidents/muut/muut.js'
import { describeWith } from '../support/servers/describe-with.js'

describeWith('redis', 'Muut, played again', () => {
  it(
    'refuses a healthy client and loses newer values without the guard; with it no client is refused, nothing is lost, and Redis is trusted once its data hold',
    { timeout: 180_000 },
    async () => {
      const { claims } = await muut.play(() => undefined)
      const unguarded = claims.filter(({ says }) => says.startsWith('unguarded'))
      expect([unguarded.length, claims.length]).toEqual([4, 13])
      expect(claims.filter(({ holds }) => !holds).map(({ says }) => says)).toEqual([])
    },
  )
})
