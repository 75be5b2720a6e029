import { sharesContract } from '../support/web/contract/shares.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) sharesContract(driver)
