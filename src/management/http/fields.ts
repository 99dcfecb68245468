// Fields that many schemas of the management API share, and pages of lists.
import { z } from 'zod';
import { type RouteScope, scopes } from '../../domain/scope.ts';

export const time = z.iso.datetime().describe('RFC 3339, UTC');
export const timeOrNull = time.nullable();
export const id = (prefix: string): z.ZodString => z.string().regex(new RegExp(`^${prefix}_[0-9A-Za-z_]{1,40}$`));
export const text = (most: number): z.ZodString => z.string().min(1).max(most);
export const count = z.int().min(0).max(1e15);
const routeScope = z
  .templateLiteral(['route:', z.string().regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/)])
  .describe('the scope of a published service') satisfies z.ZodType<RouteScope>;
export const scope = z.union([z.enum(scopes), routeScope]);
export const name = text(200);
export const word = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/);

/** A page of a list, with the cursor of the next one. */
export const pageOf = <T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> =>
  z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe('cursor of the next page; null: the last'),
  });
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(300).optional(),
};
