import { leavingContract } from '../support/web/contract/leaving.js'
import { express5Driver, express4Driver, express5Plain, express4Plain } from '../support/web/express.js'

for (const driver of [express5Driver, express4Driver, express5Plain, express4Plain]) leavingContract(driver)
