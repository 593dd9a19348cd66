// `ctx.log`: the message and then the fields, or, as pino has it, the fields and then the message.
import type { UserLog } from './context.js'

type Level = keyof UserLog
type Fields = Readonly<Record<string, unknown>>

/** Whatever user code hands it becomes one line. */
export function userLog(write: (level: Level, message: string, fields: Fields) => void): UserLog {
  const at = (level: Level) => (first: unknown, second?: unknown) => {
    const isFieldsFirst = typeof first === 'object' && first !== null
    const [message, fields] = isFieldsFirst ? [second, first] : [first, second]
    write(level, messageOf(message, fields), fieldsOf(fields))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function messageOf(message: unknown, fields: unknown): string {
  if (message !== undefined) return String(message)
  return fields instanceof Error ? fields.message : ''
}

function fieldsOf(fields: unknown): Fields {
  if (fields === undefined) return {}
  if (fields instanceof Error) return { error: fields }
  const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields)
  return isObject ? { ...fields } : { value: fields }
}
