/**
 * What has(), all(), exists(), map() and their kin stand for: each unfolds to a presence test or to a fold while
 * the expression is parsed. A macro that is given something it cannot unfold says so in CEL-go's words.
 */

import {
  ACCUMULATOR,
  OPERATOR,
  type CallExpr,
  type ComprehensionExpr,
  type Constant,
  type Expr,
  type ListExpr,
} from './ast.ts';

/** Makes the nodes of what a macro unfolds to; all lie where the macro's parenthesis is. */
export interface NodeMaker {
  constant(constant: Constant): Expr;
  ident(name: string): Expr;
  call(name: string, args: readonly Expr[]): CallExpr;
  memberCall(target: Expr, name: string, args: readonly Expr[]): CallExpr;
  list(elements: readonly Expr[]): ListExpr;
  emptyMap(): Expr;
  presenceTest(operand: Expr, field: string): Expr;
  comprehension(fold: Omit<ComprehensionExpr, 'kind' | 'id' | 'offset'>): Expr;
  /** The same tree with ids of its own. */
  copy(expr: Expr): Expr;
  /** Notes what is wrong with the macro, at the place of `expr`. */
  fail(expr: Expr, message: string): undefined;
}

export interface Macro {
  readonly name: string;
  readonly argCount: number;
  readonly receiver: boolean;
  /** Undefined after fail(), or when the call is none of the macro's and stays a call (`declined`). */
  readonly expand: (make: NodeMaker, target: Expr | undefined, args: readonly Expr[]) => Expr | undefined;
}

const TRUE: Constant = { kind: 'bool', value: true };
const FALSE: Constant = { kind: 'bool', value: false };

const SIMPLE_NAME = 'argument must be a simple name';
const IDENTIFIER = 'argument is not an identifier';
const OVERWRITES = 'iteration variable overwrites accumulator variable';

/** Names no iteration variable may have: the accumulator, today's and the one of before. */
const HIDDEN: readonly string[] = [ACCUMULATOR, '__result__'];

function variable(make: NodeMaker, arg: Expr, message: string): string | undefined {
  if (arg.kind !== 'ident' || arg.name.startsWith('.')) return make.fail(arg, message);
  if (HIDDEN.includes(arg.name)) return make.fail(arg, OVERWRITES);
  return arg.name;
}

/** The step and result of each sort of fold; `take` adds one result. */
interface Fold {
  readonly init: Expr;
  readonly condition: Expr;
  readonly step: Expr;
  readonly result: Expr;
}

const accu = (make: NodeMaker): Expr => make.ident(ACCUMULATOR);

function allFold(make: NodeMaker, predicate: Expr): Fold {
  return {
    init: make.constant(TRUE),
    condition: make.call(OPERATOR.notStrictlyFalse, [accu(make)]),
    step: make.call(OPERATOR.and, [accu(make), predicate]),
    result: accu(make),
  };
}

function existsFold(make: NodeMaker, predicate: Expr): Fold {
  return {
    init: make.constant(FALSE),
    condition: make.call(OPERATOR.notStrictlyFalse, [make.call(OPERATOR.not, [accu(make)])]),
    step: make.call(OPERATOR.or, [accu(make), predicate]),
    result: accu(make),
  };
}

function existsOneFold(make: NodeMaker, predicate: Expr): Fold {
  const one: Constant = { kind: 'int', value: 1n };
  return {
    init: make.constant({ kind: 'int', value: 0n }),
    condition: make.constant(TRUE),
    step: make.call(OPERATOR.conditional, [
      predicate,
      make.call(OPERATOR.add, [accu(make), make.constant(one)]),
      accu(make),
    ]),
    result: make.call(OPERATOR.equals, [accu(make), make.constant(one)]),
  };
}

/** Collects into `init` by `add`, of those elements that pass the filter, if there is one. */
function collectFold(make: NodeMaker, init: Expr, filter: Expr | undefined, add: Expr): Fold {
  return {
    init,
    condition: make.constant(TRUE),
    step: filter === undefined ? add : make.call(OPERATOR.conditional, [filter, add, accu(make)]),
    result: accu(make),
  };
}

const append = (make: NodeMaker, element: Expr): Expr =>
  make.call(OPERATOR.add, [accu(make), make.list([element])]);

function receiverMacro(
  name: string,
  argCount: number,
  expand: (make: NodeMaker, target: Expr, args: readonly Expr[]) => Expr | undefined,
): Macro {
  return {
    name,
    argCount,
    receiver: true,
    expand: (make, target, args) => (target === undefined ? undefined : expand(make, target, args)),
  };
}

/** A fold with one variable. */
function single(
  name: string,
  argCount: number,
  message: string,
  fold: (make: NodeMaker, iterVar: Expr, args: readonly Expr[]) => Fold,
): Macro {
  return receiverMacro(name, argCount, (make, range, args) => {
    const iterVar = variable(make, args[0], message);
    if (iterVar === undefined) return undefined;
    return make.comprehension({
      iterVar,
      iterVar2: '',
      range,
      accuVar: ACCUMULATOR,
      ...fold(make, args[0], args.slice(1)),
    });
  });
}

/** A fold with two: index and value of a list, key and value of a map. */
function double(
  name: string,
  argCount: number,
  fold: (make: NodeMaker, key: Expr, args: readonly Expr[]) => Fold,
): Macro {
  return receiverMacro(name, argCount, (make, range, args) => {
    const iterVar = variable(make, args[0], SIMPLE_NAME);
    const iterVar2 = variable(make, args[1], SIMPLE_NAME);
    if (iterVar === undefined || iterVar2 === undefined) return undefined;
    if (iterVar === iterVar2) return make.fail(args[1], `duplicate variable name: ${iterVar}`);
    return make.comprehension({
      iterVar,
      iterVar2,
      range,
      accuVar: ACCUMULATOR,
      ...fold(make, args[0], args.slice(2)),
    });
  });
}

const existsOne = (name: string): Macro =>
  single(name, 2, SIMPLE_NAME, (make, _iter, [predicate]) => existsOneFold(make, predicate));

/** The macros of the language itself. */
export const STANDARD_MACROS: readonly Macro[] = [
  {
    name: 'has',
    argCount: 1,
    receiver: false,
    expand: (make, _target, [arg]) =>
      arg.kind === 'select'
        ? make.presenceTest(arg.operand, arg.field)
        : make.fail(arg, 'invalid argument to has() macro'),
  },
  single('all', 2, SIMPLE_NAME, (make, _iter, [predicate]) => allFold(make, predicate)),
  single('exists', 2, SIMPLE_NAME, (make, _iter, [predicate]) => existsFold(make, predicate)),
  existsOne('exists_one'),
  existsOne('existsOne'),
  single('map', 2, IDENTIFIER, (make, _iter, [element]) =>
    collectFold(make, make.list([]), undefined, append(make, element)),
  ),
  single('map', 3, IDENTIFIER, (make, _iter, [filter, element]) =>
    collectFold(make, make.list([]), filter, append(make, element)),
  ),
  single('filter', 2, IDENTIFIER, (make, iter, [filter]) =>
    collectFold(make, make.list([]), filter, append(make, iter)),
  ),
];

const MAP_INSERT = 'cel.@mapInsert';

function transformMap(argCount: number): Macro {
  return double('transformMap', argCount, (make, key, args) => {
    const add = make.call(MAP_INSERT, [accu(make), make.copy(key), args[args.length - 1]]);
    return collectFold(make, make.emptyMap(), args.length > 1 ? args[0] : undefined, add);
  });
}

function transformMapEntry(argCount: number): Macro {
  return double('transformMapEntry', argCount, (make, _key, args) => {
    const add = make.call(MAP_INSERT, [accu(make), args[args.length - 1]]);
    return collectFold(make, make.emptyMap(), args.length > 1 ? args[0] : undefined, add);
  });
}

function transformList(argCount: number): Macro {
  return double('transformList', argCount, (make, _key, args) =>
    collectFold(
      make,
      make.list([]),
      args.length > 1 ? args[0] : undefined,
      append(make, args[args.length - 1]),
    ),
  );
}

/** ext.TwoVarComprehensions. */
export const TWO_VARIABLE_MACROS: readonly Macro[] = [
  double('all', 3, (make, _key, [predicate]) => allFold(make, predicate)),
  double('exists', 3, (make, _key, [predicate]) => existsFold(make, predicate)),
  double('existsOne', 3, (make, _key, [predicate]) => existsOneFold(make, predicate)),
  double('exists_one', 3, (make, _key, [predicate]) => existsOneFold(make, predicate)),
  transformList(3),
  transformList(4),
  transformMap(3),
  transformMap(4),
  transformMapEntry(3),
  transformMapEntry(4),
];

/** `target.optMap(v, f)`: f with v bound to the value, where there is one. */
function optionalMacro(name: string, wrap: boolean): Macro {
  return receiverMacro(name, 2, (make, target, [iter, body]) => {
    if (iter.kind !== 'ident') {
      return make.fail(iter, `${name}() variable name must be a simple identifier`);
    }
    const bound = make.comprehension({
      iterVar: '#unused',
      iterVar2: '',
      range: make.list([]),
      accuVar: iter.name,
      init: make.memberCall(make.copy(target), 'value', []),
      condition: make.constant(FALSE),
      step: make.ident(iter.name),
      result: body,
    });
    return make.call(OPERATOR.conditional, [
      make.memberCall(target, 'hasValue', []),
      wrap ? make.call('optional.of', [bound]) : bound,
      make.call('optional.none', []),
    ]);
  });
}

/** What a list that is sorted may be written as. */
const SORTABLE: ReadonlySet<string> = new Set(['list', 'select', 'ident', 'comprehension', 'call']);

/** `list.sortBy(v, key)` of the list library: the keys are made by a fold, the sorting is a function. */
export const SORT_BY_MACRO: Macro = receiverMacro('sortBy', 2, (make, target, [iter, key]) => {
  if (!SORTABLE.has(target.kind) || (target.kind === 'select' && target.testOnly))
    return make.fail(
      target,
      'sortBy can only be applied to a list, identifier, comprehension, call or select expression',
    );
  const iterVar = variable(make, iter, `sortBy can only be applied to an identifier`);
  if (iterVar === undefined) return undefined;
  const keys = make.comprehension({
    iterVar,
    iterVar2: '',
    range: make.ident('@__sortBy_input__'),
    accuVar: ACCUMULATOR,
    ...collectFold(make, make.list([]), undefined, append(make, key)),
  });
  return make.comprehension({
    iterVar: '#unused',
    iterVar2: '',
    range: make.list([]),
    accuVar: '@__sortBy_input__',
    init: target,
    condition: make.constant(FALSE),
    step: make.ident('@__sortBy_input__'),
    result: make.memberCall(make.ident('@__sortBy_input__'), '@sortByAssociatedKeys', [keys]),
  });
});

export const OPTIONAL_MACROS: readonly Macro[] = [
  optionalMacro('optMap', true),
  optionalMacro('optFlatMap', false),
];
