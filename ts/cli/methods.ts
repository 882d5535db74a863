/** `event-base methods`. */

import { EventConfig } from '../config.js'
import { BaseFlag, Feature } from '../constants.js'
import { EventBase } from '../event-base.js'

/** One line for each backend: its name, a tab, its features. */
export function describeMethods(): string[] {
  const methods = EventBase.supportedMethods()
  return methods.map((method) => {
    const config = new EventConfig().setFlags(BaseFlag.IGNORE_ENV)
    for (const other of methods) if (other !== method) config.avoidMethod(other)
    const base = config.build()
    const { features } = base
    base.close()
    const names = Object.entries(Feature).filter(([, bit]) => (features & bit) !== 0)
    return `${method}\t${names.map(([name]) => name).join(' ')}`
  })
}
