// Which terms of a plan are limits by window. The gateway names them so (`windowed` in src/domain/limit.ts), and new ones
// appear in the pages without a change here.
export const isWindowed = (term: string): boolean => /Per[A-Z][a-z]+$/.test(term);
