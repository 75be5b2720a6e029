import { scopeContract } from '../support/web/contract/scope.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) scopeContract(driver)
