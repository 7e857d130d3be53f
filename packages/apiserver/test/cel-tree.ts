/**
 * Writes our trees as the messages of cel.expr that @bufbuild/cel-spec prints the way CEL-go prints its own, so that the
 * two can be compared.
 */

import { type Checked } from '../src/cel/checker.ts';
import { type Constant, type Expr } from '../src/cel/ast.ts';

type Message = Readonly<Record<string, unknown>>;

function constantMessage(constant: Constant): Message {
  const kinds: Readonly<Record<Constant['kind'], string>> = {
    null: 'nullValue',
    bool: 'boolValue',
    int: 'int64Value',
    uint: 'uint64Value',
    double: 'doubleValue',
    string: 'stringValue',
    bytes: 'bytesValue',
  };
  const value = constant.kind === 'null' ? 0 : constant.value;
  return { $typeName: 'cel.expr.Constant', constantKind: { case: kinds[constant.kind], value } };
}

/** @param checked renames what the checker resolved: qualified names and functions, messages */
export function exprMessage(expr: Expr, checked?: Checked): Message {
  const sub = (inner: Expr): Message => exprMessage(inner, checked);
  const reference = checked?.references.get(expr.id);
  const make = (kind: string, value: unknown): Message => ({
    $typeName: 'cel.expr.Expr',
    id: BigInt(expr.id),
    exprKind: { case: kind, value },
  });
  if (reference?.kind === 'variable' || (reference?.kind === 'type' && expr.kind !== 'struct')) {
    return make('identExpr', { $typeName: 'cel.expr.Expr.Ident', name: reference.name });
  }
  switch (expr.kind) {
    case 'const':
      return make('constExpr', constantMessage(expr.constant));
    case 'ident':
      return make('identExpr', { name: expr.name });
    case 'select':
      return make('selectExpr', { operand: sub(expr.operand), field: expr.field, testOnly: expr.testOnly });
    case 'call': {
      const qualified = reference?.kind === 'function' && reference.qualified;
      return make('callExpr', {
        target: expr.target === undefined || qualified ? undefined : sub(expr.target),
        function: reference?.kind === 'function' ? reference.name : expr.name,
        args: expr.args.map(sub),
      });
    }
    case 'list':
      return make('listExpr', { elements: expr.elements.map(sub), optionalIndices: expr.optionalIndices });
    case 'map':
      return make('structExpr', {
        messageName: '',
        entries: expr.entries.map((entry) => ({
          $typeName: 'cel.expr.Expr.CreateStruct.Entry',
          id: BigInt(entry.id),
          keyKind: { case: 'mapKey', value: sub(entry.key) },
          value: sub(entry.value),
          optionalEntry: entry.optional,
        })),
      });
    case 'struct':
      return make('structExpr', {
        messageName: reference?.kind === 'type' ? reference.name : expr.name,
        entries: expr.fields.map((field) => ({
          $typeName: 'cel.expr.Expr.CreateStruct.Entry',
          id: BigInt(field.id),
          keyKind: { case: 'fieldKey', value: field.name },
          value: sub(field.value),
          optionalEntry: field.optional,
        })),
      });
    case 'comprehension':
      return make('comprehensionExpr', {
        iterVar: expr.iterVar,
        iterVar2: expr.iterVar2,
        iterRange: sub(expr.range),
        accuVar: expr.accuVar,
        accuInit: sub(expr.init),
        loopCondition: sub(expr.condition),
        loopStep: sub(expr.step),
        result: sub(expr.result),
      });
  }
}

/** `~type^overload` behind each node, as CEL-go's printer adorns a checked tree. */
export class CheckedAdorner {
  private readonly checked: Checked;

  constructor(checked: Checked) {
    this.checked = checked;
  }

  GetMetadata(message: { readonly id?: bigint; readonly $typeName: string }): string {
    if (message.$typeName !== 'cel.expr.Expr') return '';
    const id = Number(message.id);
    const type = this.checked.types.get(id);
    const reference = this.checked.references.get(id);
    let text = type === undefined ? '' : `~${type.toString()}`;
    if (reference?.kind === 'function')
      text += `^${reference.overloads
        .map((overload) => overload.id)
        .sort()
        .join('|')}`;
    else if (reference !== undefined) text += `^${reference.name}`;
    return text;
  }
}
