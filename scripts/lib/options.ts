// The numbers in the options of commands.

/** The largest number of 32 bits: seeds have this many. */
const MOST = 0xffff_ffff

/** The largest number of concurrent processes. */
export const MOST_JOBS = 256

/** The integer that the option `name` has. Throws if the text is no integer, or out of range. */
export function integer(name: string, text: string, least: number, most: number = MOST): number {
  return inRange(name, /^\d+$/.test(text) ? Number(text) : Number.NaN, text, least, most, 'an integer')
}

/** The number that the option `name` has, which may have a fraction. Throws if the text is no number, or out of range. */
export function decimal(name: string, text: string, least: number, most: number): number {
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  return inRange(name, value, text, least, most, 'a number')
}

function inRange(
  name: string,
  value: number,
  text: string,
  least: number,
  most: number,
  what: string,
): number {
  if (value >= least && value <= most) return value
  throw new Error(`--${name} must be ${what} from ${least} to ${most}, not ${text}`)
}
