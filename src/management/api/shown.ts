// What the use cases show are plain records; here they get the types of their shapes. A test holds each of them against
// its shape on the running server.
import type { z } from 'zod';
import type * as shapes from './shapes.ts';

type Shown = Readonly<Record<string, unknown>>;

export const keyOf = (shown: Shown) => shown as z.output<typeof shapes.keyShape>;
export const planOf = (shown: Shown) => shown as z.output<typeof shapes.planShape>;
export const ruleOf = (shown: object) => ({ ...shown }) as z.output<typeof shapes.ruleShape>;
export const stepOf = (shown: Shown) => shown as z.output<typeof shapes.suspensionShape>;
export const applicationOf = (shown: Shown) => shown as z.output<typeof shapes.applicationShape>;
export const inviteOf = (shown: Shown) => shown as z.output<typeof shapes.inviteShape>;
export const eventOf = (shown: Shown) => shown as z.output<typeof shapes.auditShape>;
