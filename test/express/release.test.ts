import { releaseContract } from '../support/web/contract/release.js'
import { express5Driver, express4Driver, express5Plain, express4Plain } from '../support/web/express.js'

for (const driver of [express5Driver, express4Driver, express5Plain, express4Plain]) releaseContract(driver)
