import { releaseContract } from '../support/web/contract/release.js'
import { fastifyDriver } from '../support/web/fastify.js'

for (const driver of [fastifyDriver]) releaseContract(driver)
