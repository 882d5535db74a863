#!/usr/bin/env node
/** The program `event-base`. */

import { command } from './command.js'

process.exit(await command(process.argv.slice(2)))
