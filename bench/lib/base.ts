import { BaseFlag, type EventBase, EventConfig } from '../../index.js'
import type { SubjectOptions } from './options.js'

/** The base that stands beside the native row: `NOLOCK`, or with locks where the options say so. */
export function benchBase(options: SubjectOptions): EventBase {
  const config = new EventConfig().setFlags(BaseFlag.IGNORE_ENV)
  if (!options.locks) config.setFlags(BaseFlag.NOLOCK)
  return config.build()
}
