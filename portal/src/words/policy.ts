// Words of the policy pages.
export const policy = { en: {}, ja: {} };
