import { leavingContract } from '../support/web/contract/leaving.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) leavingContract(driver)
