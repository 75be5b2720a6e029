import { closingContract } from '../support/web/contract/closing.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) closingContract(driver)
