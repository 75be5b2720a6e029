import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cofferdam } from '../src/express/index.js'
import { createBudgets, createRegistry } from '../src/index.js'
import { listening } from './support/web/express.js'

const page = readFileSync(new URL('../docs/operators.md', import.meta.url), 'utf8')
const [setMode, drain] = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, commands]) => commands!)

/** What an action may not do without. */
const sample = { name: 'x', budget: 'x', mode: 'available', reason: 'x', text: 'x', token: 'x', for: 1 }

async function shop() {
  const registry = createRegistry()
  registry.dependency('orders-write', { tags: ['writes'] })
  const budgets = createBudgets({ slots: 2, classes: { pages: {} } })
  const guard = cofferdam({ registry, budgets })
  const app = express()
  app.use('/ops', guard.operator({ authorize: ({ request }) => request.get('authorization') === 'Bearer x' && 'ada' }))
  const site = await listening(createServer(app), () => {
    guard.close()
  })
  onTestFinished(() => site.close())
  const cwd = mkdtempSync(join(tmpdir(), 'operators-'))
  onTestFinished(() => {
    rmSync(cwd, { recursive: true })
  })
  const OPS = `http://127.0.0.1:${site.port}/ops`
  const run = async (commands: string): Promise<string> => {
    const env = { ...process.env, OPS, OPS_TOKEN: 'x' }
    return (await promisify(execFile)('sh', ['-c', commands], { cwd, env })).stdout
  }
  return { registry, budgets, cwd, OPS, run }
}

describe('the page for operators', () => {
  it('shows a command that makes writes unavailable, and its answer', async () => {
    const { registry, run } = await shop()
    const answer = await run(setMode!)
    expect(page).toContain(`\`${answer}\``)
    expect(registry.snapshot()['orders-write']).toMatchObject({
      mode: 'unavailable',
      reason: 'ids are being repaired',
      notice: 'Read-only until noon',
    })
    expect(registry.history()[0]!.cause.by).toBe('ada')
  })

  it('shows commands that have a dependency to themselves while they repair it', async () => {
    const { registry, cwd, run } = await shop()
    const during: string[] = []
    registry.on('flip', ({ mode }) => during.push(mode))
    writeFileSync(join(cwd, 'repair'), '#!/bin/sh\necho repaired >> log\n', { mode: 0o755 })
    expect(await run(drain!)).toBe('{"ok":true,"modes":{"orders-write":"available"}}')
    expect(during).toEqual(['unavailable', 'available'])
    expect(readFileSync(join(cwd, 'log'), 'utf8')).toBe('repaired\n')
    await expect(run(drain!.replace('Bearer $OPS_TOKEN', 'Bearer y'))).rejects.toMatchObject({ code: 1 })
    expect(readFileSync(join(cwd, 'log'), 'utf8')).toBe('repaired\n')
  })

  it('names every action and its fields', async () => {
    const { OPS } = await shop()
    const send = async (body: object): Promise<string> => {
      const headers = { authorization: 'Bearer x', 'content-type': 'application/json' }
      const answer = await fetch(OPS, { method: 'POST', headers, body: JSON.stringify(body) })
      return ((await answer.json()) as { error: string }).error
    }
    const known = (await send({ action: '?' })).match(/"\w+"(?= or|,)/g)!.map((name) => JSON.parse(name) as string)
    const rows = page.split('\n').filter((line) => /^\| `\w+`/.test(line))
    const documented = rows.map((row) => [...row.matchAll(/`(\w+)`/g)].map(([, word]) => word!))
    expect(documented.map(([action]) => action).sort()).toEqual([...new Set(known)].sort())
    for (const [action, ...fields] of documented) {
      const required = Object.entries(sample).filter(([field]) => fields.includes(field))
      const error = await send({ action, ...Object.fromEntries(required), '?': 1 })
      const names = error.split('known are ')[1]!.split(', ')
      expect([action, ...new Set([...fields, 'by'])].sort()).toEqual([action, ...names].sort())
    }
  })
})
