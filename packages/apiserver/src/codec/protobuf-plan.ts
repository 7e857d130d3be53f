/**
 * How structs lie in protobuf: a plan is made of each when it is first met, for who writes it and who reads it.
 */

import type { FieldSchema, StructSchema } from '../schema/type-schema.ts';

/** A member that is written or read under one number: a field, or an inlined struct. */
export type Part =
  | { readonly kind: 'field'; readonly number: number; readonly slot: number; readonly field: FieldSchema }
  | { readonly kind: 'inlined'; readonly number: number; readonly plan: () => Plan; readonly offset: number };

/** How a struct lies in protobuf. Slots are the places of the JSON object's members, in Go's order. */
export interface Plan {
  readonly struct: StructSchema;
  readonly slots: readonly FieldSchema[];
  readonly ascending: readonly Part[];
  readonly byNumber: ReadonlyMap<number, Part>;
}

/** The plans of the structs of one type table. */
export class Plans {
  private readonly plans = new Map<StructSchema, Plan>();

  of(struct: StructSchema): Plan {
    let plan = this.plans.get(struct);
    if (plan === undefined) {
      plan = this.makePlan(struct);
      this.plans.set(struct, plan);
    }
    return plan;
  }

  private makePlan(struct: StructSchema): Plan {
    const slots = [...struct.fields.values()];
    const slotOf = new Map(slots.map((field, slot) => [field.name, slot]));
    const parts: Part[] = [];
    for (const field of struct.own) {
      if (field.number === 0) continue;
      parts.push({ kind: 'field', number: field.number, slot: slotOf.get(field.name) ?? -1, field });
    }
    for (const { number, type } of struct.inlined) {
      if (number === 0) continue;
      const first = [...type.fields.keys()][0];
      parts.push({ kind: 'inlined', number, plan: () => this.of(type), offset: slotOf.get(first) ?? 0 });
    }
    return {
      struct,
      slots,
      ascending: parts.toSorted((a, b) => a.number - b.number),
      byNumber: new Map(parts.map((part) => [part.number, part])),
    };
  }
}
