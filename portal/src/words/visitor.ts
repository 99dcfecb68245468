// Words of the visitor pages.
export const visitor = { en: {}, ja: {} };
