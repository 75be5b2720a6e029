import { describe, expect, it } from 'vitest'
import { cases } from './cases/index.js'
import { onlyFor } from './report/verdict.js'
import { targets, type Spot } from './targets.js'

const caseOf = (name: string): (typeof cases)[number] => cases.find((one) => one.name === name)!

describe('the targets of the bench', () => {
  it.each(targets.map((target) => [`${target.what} ÷ ${target.by?.name ?? '–'}`, target] as const))(
    'can be measured: %s',
    (_name, { of, spot, by }) => {
      const { subjects, points } = caseOf(of)
      const measured: Spot[] = subjects.flatMap(({ name, points: its = points }) =>
        its.map((point) => ({ subject: name, point })),
      )
      expect(measured).toContainEqual({ subject: spot.subject, point: spot.point })
      if (by) expect(measured).toContainEqual({ subject: by.subject, point: by.point })
    },
  )

  it('are told apart by what they say', () => {
    expect(new Set(targets.map(({ what, by }) => `${what} ÷ ${by?.name ?? ''}`)).size).toBe(targets.length)
  })

  it('take from a case only the subjects and points that they need', () => {
    const needed = onlyFor(
      caseOf('failing'),
      targets.filter(({ of }) => of === 'failing'),
    )
    expect(needed.subjects).toEqual([{ name: 'cofferdam', points: [100, 100_000] }])
  })
})
