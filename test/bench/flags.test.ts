import { describe, expect, it } from 'vitest'
import { FlagError, parseFlags, usage, type CaseNames } from './flags.js'

const names: CaseNames = { measure: ['closed', 'cache-hit'], check: ['closed'], growth: ['window'], figures: [] }
const parse = (...args: string[]): ReturnType<typeof parseFlags> => parseFlags(args, names)

describe('the flags of the bench', () => {
  it('ask for every case, measured in full, when there are none', () => {
    expect(parse()).toEqual({ task: 'measure', quick: false, only: [] })
  })

  it('name a task, and cases of that task', () => {
    expect(parse('--check', '--only', 'closed')).toEqual({ task: 'check', quick: false, only: ['closed'] })
    expect(parse('--growth', '--quick', '--only', 'window')).toEqual({ task: 'growth', quick: true, only: ['window'] })
    expect(parse('--only', 'closed', '--only', 'cache-hit').only).toEqual(['closed', 'cache-hit'])
    expect(parse('--figures').task).toBe('figures')
  })

  it('are refused when two tasks are asked for at once', () => {
    expect(() => parse('--check', '--growth')).toThrow(new FlagError("--check and --growth don't go together"))
  })

  it.each(['--check', '--figures'])('are refused when %s should be quick: its figures are meant to be kept', (task) => {
    expect(() => parse(task, '--quick')).toThrow(FlagError)
  })

  it('are refused when a case is none of the task’s, as one without a target is not for --check', () => {
    expect(() => parse('--only', 'window')).toThrow(new FlagError('no case is called "window"'))
    expect(() => parse('--check', '--only', 'cache-hit')).toThrow(
      new FlagError('no case of --check is called "cache-hit"'),
    )
  })

  it('are refused when one is unknown', () => {
    expect(() => parse('--fast')).toThrow(FlagError)
  })

  it('are explained with the names of the cases', () => {
    expect(usage(names)).toMatch(/closed, cache-hit;\n.*window$/)
  })
})
