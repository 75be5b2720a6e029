import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import * as adapter from '../src/adapter.js'
import * as express from '../src/express/index.js'
import * as fastify from '../src/fastify/index.js'
import * as core from '../src/index.js'
import * as testing from '../src/testing.js'

// What users can import is decided here, on purpose, and not by what a file happens to export.
const reviewed = {
  '.': [
    'BudgetExhaustedError',
    'BulkheadFullError',
    'CacheDumpError',
    'CallTimeoutError',
    'ClosedError',
    'CofferdamError',
    'DeadlineError',
    'DrainError',
    'FailedValueError',
    'INCONCLUSIVE',
    'InvariantError',
    'OptionError',
    'QueueTimeoutError',
    'RateLimitError',
    'UnavailableError',
    'bulkhead',
    'cacheFile',
    'circuit',
    'compose',
    'createBudgets',
    'createPool',
    'createRegistry',
    'drift',
    'fallback',
    'gather',
    'identity',
    'invariant',
    'keepTrying',
    'loadConfig',
    'monotonic',
    'notify',
    'rate',
    'rehearse',
    'retry',
    'staleCache',
    'timeout',
  ],
  './express': ['cofferdam'],
  './fastify': ['cofferdam', 'default'],
  './adapter': ['Inbound', 'OperatorHandler', 'Scope', 'refusalOf', 'strictSnapshot', 'watchClose'],
  './testing': ['ManualClock', 'settle'],
}

const actual = { '.': core, './express': express, './fastify': fastify, './adapter': adapter, './testing': testing }

describe('the public surface', () => {
  it.each(Object.keys(reviewed) as (keyof typeof reviewed)[])('of %s is what was reviewed', (entry) => {
    expect(Object.keys(actual[entry]).sort()).toEqual(reviewed[entry])
  })

  it('has no entry that was not reviewed', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      exports: object
    }
    expect(Object.keys(manifest.exports).sort()).toEqual([...Object.keys(reviewed), './package.json'].sort())
  })
})
