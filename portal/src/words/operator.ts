// Words of the operator pages.
export const operator = { en: {}, ja: {} };
