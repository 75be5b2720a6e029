import { expect, it } from 'vitest'
import { playHalves, replay } from '../../docs/examples/incidents/zdz/zdz.js'
import { describeWith } from '../support/servers/describe-with.js'

describeWith('postgres', 'ZDZ, played again', () => {
  it(
    'loses its pages and the second site without the guard; with it, on both frameworks, pages go on, callbacks recover, and the second site answers',
    { timeout: 180_000 },
    async () => {
      const { claims } = replay(await playHalves(() => undefined), [])
      const unguarded = claims.filter(({ says }) => says.startsWith('unguarded'))
      expect([unguarded.length, claims.length]).toEqual([4, 28])
      expect(claims.filter(({ holds }) => !holds).map(({ says }) => says)).toEqual([])
    },
  )
})
