// The mutants of a TypeScript file, and a copy of it that records which functions run.
import ts from 'typescript'

/** A piece of a file, and the text that takes its place. */
interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** A mutant of a file. */
export interface SourceMutant extends Edit {
  /** The function or class that contains the change; empty outside of both. */
  readonly name: string
  readonly change: string
}

/** Operators and what replaces them. */
const OPERATORS: ReadonlyMap<ts.SyntaxKind, readonly string[]> = new Map([
  [ts.SyntaxKind.LessThanToken, ['<=', '>=']],
  [ts.SyntaxKind.LessThanEqualsToken, ['<', '>']],
  [ts.SyntaxKind.GreaterThanToken, ['>=', '<=']],
  [ts.SyntaxKind.GreaterThanEqualsToken, ['>', '<']],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, ['!==']],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, ['===']],
  [ts.SyntaxKind.AmpersandAmpersandToken, ['||']],
  [ts.SyntaxKind.BarBarToken, ['&&']],
  [ts.SyntaxKind.QuestionQuestionToken, ['&&']],
  [ts.SyntaxKind.PlusToken, ['-']],
  [ts.SyntaxKind.MinusToken, ['+']],
  [ts.SyntaxKind.AsteriskToken, ['/']],
  [ts.SyntaxKind.SlashToken, ['*']],
  [ts.SyntaxKind.PercentToken, ['*']],
  [ts.SyntaxKind.AmpersandToken, ['|']],
  [ts.SyntaxKind.BarToken, ['&']],
  [ts.SyntaxKind.CaretToken, ['&']],
  [ts.SyntaxKind.LessThanLessThanToken, ['>>>']],
  [ts.SyntaxKind.GreaterThanGreaterThanToken, ['<<']],
  [ts.SyntaxKind.GreaterThanGreaterThanGreaterThanToken, ['<<']],
  [ts.SyntaxKind.PlusEqualsToken, ['-=']],
  [ts.SyntaxKind.MinusEqualsToken, ['+=']],
  [ts.SyntaxKind.BarEqualsToken, ['&=']],
  [ts.SyntaxKind.AmpersandEqualsToken, ['|=']],
  [ts.SyntaxKind.QuestionQuestionEqualsToken, ['=']],
])

type WithBody = ts.FunctionLikeDeclaration & { readonly body: ts.ConciseBody }

function hasBody(node: ts.Node): node is WithBody {
  return ts.isFunctionLike(node) && (node as ts.FunctionLikeDeclaration).body !== undefined
}

/** The name of a function in its file: those of the classes and functions around it, and its own. */
function nameOf(node: ts.Node): string {
  const { name } = node as { name?: ts.Node }
  if (name !== undefined) return name.getText()
  if (ts.isConstructorDeclaration(node)) return 'constructor'
  const { parent } = node
  const isNamed =
    ts.isVariableDeclaration(parent) || ts.isPropertyDeclaration(parent) || ts.isPropertyAssignment(parent)
  return isNamed ? parent.name.getText() : '()'
}

/**
 * Calls `visit` for each node below `root`, with the name of the function or class around it (`''` outside), and its own
 * name if it is a function or a class.
 */
function walk(root: ts.Node, visit: (node: ts.Node, around: string, own: string) => void): void {
  const counts = new Map<string, number>()
  const enter = (node: ts.Node, around: string): void => {
    // Types do not exist at run time.
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return
    let own = around
    if (hasBody(node) || ts.isClassLike(node)) {
      const path = `${around === '' ? '' : `${around}.`}${nameOf(node)}`
      const count = (counts.get(path) ?? 0) + 1
      counts.set(path, count)
      own = count === 1 ? path : `${path}#${count}`
    }
    visit(node, around, own)
    ts.forEachChild(node, (child) => enter(child, own))
  }
  ts.forEachChild(root, (child) => enter(child, ''))
}

function parse(text: string): ts.SourceFile {
  return ts.createSourceFile('source.ts', text, ts.ScriptTarget.ESNext, true)
}

function isCondition(node: ts.Node): boolean {
  const { parent } = node
  return (
    ((ts.isIfStatement(parent) || ts.isWhileStatement(parent) || ts.isDoStatement(parent)) &&
      parent.expression === node) ||
    ((ts.isConditionalExpression(parent) || ts.isForStatement(parent)) && parent.condition === node)
  )
}

function isCompared({ parent }: ts.Node): boolean {
  if (!ts.isBinaryExpression(parent)) return false
  const { kind } = parent.operatorToken
  return kind === ts.SyntaxKind.EqualsEqualsEqualsToken || kind === ts.SyntaxKind.ExclamationEqualsEqualsToken
}

/** Whether a call must stay: without it the file does not run at all. */
function isRequired({ expression }: ts.ExpressionStatement): boolean {
  return ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword
}

function replacements(node: ts.Node): string[] {
  const text = node.getText()
  if (isCondition(node))
    return ts.isIfStatement(node.parent) || ts.isConditionalExpression(node.parent)
      ? ['true', 'false']
      : ['false']
  if (node.kind === ts.SyntaxKind.TrueKeyword) return ['false']
  if (node.kind === ts.SyntaxKind.FalseKeyword) return ['true']
  if (ts.isPrefixUnaryExpression(node)) {
    const operand = node.operand.getText()
    if (node.operator === ts.SyntaxKind.PlusPlusToken) return [`--${operand}`]
    if (node.operator === ts.SyntaxKind.MinusMinusToken) return [`++${operand}`]
    return ts.isLiteralExpression(node.operand) ? [] : [operand]
  }
  if (ts.isPostfixUnaryExpression(node)) {
    return [`${node.operand.getText()}${node.operator === ts.SyntaxKind.PlusPlusToken ? '--' : '++'}`]
  }
  if (ts.isExpressionStatement(node)) return isRequired(node) ? [] : [';']
  if (ts.isArrayLiteralExpression(node) && node.elements.length > 0) return ['[]']
  if (ts.isStringLiteral(node) && isCompared(node) && text.length > 2) return ["''"]
  if (node.kind === ts.SyntaxKind.QuestionDotToken) {
    return [ts.isPropertyAccessExpression(node.parent) ? '.' : '']
  }
  return []
}

/** What takes the place of the body of a function. */
function emptyBody(node: ts.Node): { node: ts.Node; text: string } | undefined {
  if (!hasBody(node) || ts.isConstructorDeclaration(node)) return undefined
  const { body } = node
  if (!ts.isBlock(body)) return body.getText() === 'undefined' ? undefined : { node: body, text: 'undefined' }
  return body.statements.length === 0 ? undefined : { node: body, text: '{}' }
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > 60 ? `${line.slice(0, 57)}...` : line
}

/** The mutants of a file. */
export function mutantsOfSource(text: string): SourceMutant[] {
  const mutants: SourceMutant[] = []
  const add = (node: ts.Node, name: string, replacement: string): void => {
    const from = node.getStart()
    const original = text.slice(from, node.end)
    const place = name === '' ? '' : ` in ${name}`
    const what =
      replacement === ';'
        ? `delete ${shorten(original)}`
        : `replace ${shorten(original)} with ${replacement || 'nothing'}`
    mutants.push({ from, to: node.end, text: replacement, name, change: `${what}${place}` })
  }
  walk(parse(text), (node, around, own) => {
    for (const replacement of replacements(node)) add(node, around, replacement)
    if (ts.isBinaryExpression(node)) {
      for (const operator of OPERATORS.get(node.operatorToken.kind) ?? [])
        add(node.operatorToken, around, operator)
    }
    const body = emptyBody(node)
    if (body !== undefined) add(body.node, own, body.text)
  })
  return mutants
}

function apply(text: string, edits: readonly Edit[]): string {
  const ordered = edits.toSorted((a, b) => b.from - a.from || b.to - a.to)
  return ordered.reduce((done, edit) => done.slice(0, edit.from) + edit.text + done.slice(edit.to), text)
}

/** A copy of a file that records which functions run. */
export interface Recording {
  readonly text: string
  /** The text of each function by its name, and under the empty name what is outside of functions. */
  readonly functions: ReadonlyMap<string, string>
}

/**
 * Makes a copy of a file that calls a global function with `prefix` and the name of each function that runs, and with
 * `prefix` alone when it is loaded.
 */
export function recording(text: string, prefix: string, prelude: string): Recording {
  const edits: Edit[] = []
  const functions = new Map<string, string>()
  const bodies: Edit[] = []
  const call = (name: string): string => `globalThis.__recordFunction?.(${JSON.stringify(prefix + name)})`
  walk(parse(text), (node, _around, own) => {
    if (!hasBody(node)) return
    const { body } = node
    functions.set(own, node.getText())
    if (node.end > (bodies.at(-1)?.to ?? 0)) bodies.push({ from: body.getStart(), to: body.end, text: '' })
    if (ts.isBlock(body)) {
      const from = body.getStart() + 1
      edits.push({ from, to: from, text: `${call(own)};` })
    } else {
      edits.push({ from: body.getStart(), to: body.getStart(), text: `(${call(own)}, ` })
      edits.push({ from: body.end, to: body.end, text: ')' })
    }
  })
  functions.set('', apply(text, bodies))
  // Node accepts the line that names the interpreter only as the first one.
  const interpreter = /^#!.*\n/.exec(text)?.[0] ?? ''
  const rest = apply(text, edits).slice(interpreter.length)
  return { text: `${interpreter}${prelude};${call('')};\n${rest}`, functions }
}
