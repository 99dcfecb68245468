// Words of the member pages.
export const member = { en: {}, ja: {} };
