import { crowdContract } from '../support/web/contract/crowd.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) crowdContract(driver)
