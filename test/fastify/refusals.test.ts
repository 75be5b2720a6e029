import { refusalsContract } from '../support/web/contract/refusals.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) refusalsContract(driver)
