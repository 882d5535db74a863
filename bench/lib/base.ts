// The base of a subject.
import { BaseFlag, type EventBase, EventConfig } from '../../index.js'
import type { SubjectOptions } from './options.js'

/** A base like that of the native row: `NOLOCK`, or with locks if the options select them. */
export function benchBase(options: SubjectOptions): EventBase {
  const config = new EventConfig().setFlags(BaseFlag.IGNORE_ENV)
  if (!options.locks) config.setFlags(BaseFlag.NOLOCK)
  return config.build()
}
