import { createServer } from 'node:http'
import fastify, { type FastifyInstance } from 'fastify'
import { cofferdam as expressGuard } from '../../../src/express/index.js'
import { cofferdam as fastifyGuard } from '../../../src/fastify/index.js'
import type { Budgets, OperatorOptions, Registry } from '../../../src/index.js'
import type { Site } from './driver.js'
import { listening, majors } from './express.js'
import { listen } from './fastify.js'

export interface StationOptions {
  registry: Registry
  budgets?: Budgets
  deadline?: number
  /** What the guard is given; `request` is any framework's. */
  operator: OperatorOptions<unknown>
  /** Hears of each request before the handler does, and may answer in its place. */
  meanwhile?: (answer: () => void) => void
  /** Proxies are believed. */
  trust?: boolean
}

/** An app whose operators are served at `/ops`. */
export interface Station {
  name: string
  /** Its handler reads the body itself. */
  reads: boolean
  start: (options: StationOptions) => Promise<Site>
}

/** @param parsers what runs before the handler: the app's parsers, or none */
export function expressStation(major: keyof typeof majors, parsers: 'none' | 'json' | 'form'): Station {
  const express = majors[major]
  return {
    name: `${major}, ${parsers === 'none' ? 'no body parser' : `a parser of ${parsers} before`}`,
    reads: parsers !== 'json',
    start: ({ operator, meanwhile, trust = false, ...options }) => {
      const app = express()
      app.set('trust proxy', trust)
      const guard = expressGuard<string>(options)
      app.use(guard)
      if (meanwhile !== undefined)
        app.use((_request, response, next) => {
          meanwhile(() => void response.status(503).json({ theirs: true }))
          next()
        })
      if (parsers === 'json') app.use(express.json({ limit: '2mb' }))
      if (parsers === 'form') app.use(express.urlencoded({ extended: false }))
      app.use('/ops', guard.operator(operator))
      app.use(guard.errors())
      return listening(createServer(app), () => {
        guard.close()
      })
    },
  }
}

export const fastifyStation: Station = {
  name: 'Fastify 5',
  reads: true,
  start: async ({ operator, meanwhile, trust = false, ...options }) => {
    const app: FastifyInstance = fastify({ forceCloseConnections: true, trustProxy: trust })
    if (meanwhile !== undefined)
      app.addHook('onRequest', (_request, reply, next) => {
        meanwhile(() => void reply.code(503).send({ theirs: true }))
        next()
      })
    app.register(fastifyGuard, { ...options, operator: { prefix: '/ops', ...operator } })
    return listen(app)
  },
}
