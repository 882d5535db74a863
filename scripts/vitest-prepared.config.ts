// The configuration of vitest where everything is built already, and the repository cannot be written to.
import config from '../vitest.config.js'

export default { ...config, test: { ...config.test, globalSetup: [] } }
