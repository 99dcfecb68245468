// A person at a browser, without the browser: keeps cookies, sends the origin headers that Chromium would send, and calls
// the management API and the sign-in routes. For behaviour that only a real browser shows, use test/browser.ts.
import { createAccount } from '../src/management/accounts/accounts.ts';
import { linkFor } from '../src/management/people/people.ts';
import { checkAgainstSchema } from './api-schemas.ts';
import type { TestGate } from './gate.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests inspect it
  readonly body: any;
  readonly text: string;
}

const api = '/management/v1';

export class Visitor {
  readonly #url: string;
  readonly cookies = new Map<string, string>();

  readonly #address: string | undefined;

  /** `address`: the client address that a trusted proxy reports. */
  constructor(url: string, address?: string) {
    this.#url = url;
    this.#address = address;
  }

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  get(path: string): Promise<Reply> {
    return this.ask('GET', api + path);
  }

  post(path: string, body: unknown = {}): Promise<Reply> {
    return this.ask('POST', api + path, { body });
  }

  patch(path: string, body: unknown): Promise<Reply> {
    return this.ask('PATCH', api + path, { body });
  }

  delete(path: string): Promise<Reply> {
    return this.ask('DELETE', api + path);
  }

  /** Calls a sign-in route. */
  auth(path: string, body?: unknown): Promise<Reply> {
    return this.ask(body === undefined ? 'GET' : 'POST', `/portal/auth${path}`, { body });
  }

  async ask(
    method: string,
    path: string,
    { body, headers = {} }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Reply> {
    const response = await fetch(this.#url + path, {
      method,
      redirect: 'manual',
      headers: {
        'sec-fetch-site': 'same-origin',
        'sec-fetch-mode': 'cors',
        ...(method === 'GET' ? {} : { origin: this.#url }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.#address === undefined ? {} : { 'x-forwarded-for': this.#address }),
        ...(this.cookies.size === 0 ? {} : { cookie: this.cookie }),
        ...headers,
      },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') === true;
    const parsed = path.startsWith(api)
      ? checkAgainstSchema(method, path.slice(api.length), response, text)
      : json && text !== ''
        ? (JSON.parse(text) as unknown)
        : undefined;
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const at = pair.indexOf('=');
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    if (value === '' || attributes.some((each) => /^max-age=0$/i.test(each))) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}

export const goodPassword = 'tsuru no ongaeshi';
/** How many there are of each gate: test files share a process. */
const operators = new WeakMap<object, number>();

/** An operator of that gate, signed in. */
export async function operatorOf(
  gate: Pick<TestGate, 'url' | 'manage'>,
  role: 'operator' | 'auditor' = 'operator',
): Promise<Visitor> {
  const count = (operators.get(gate) ?? 0) + 1;
  operators.set(gate, count);
  const name = `${role}-${count}`;
  const code = await setUpCode(gate, name, role);
  const visitor = new Visitor(gate.url);
  const made = await visitor.post('/setup', { code, name, email: `${name}@example.org`, password: goodPassword });
  if (made.status !== 204) throw new Error(`set-up answered ${made.status}: ${made.text}`);
  return visitor;
}

/** The part after the # of a set-up link for a new account. */
export async function setUpCode(
  gate: Pick<TestGate, 'url' | 'manage'>,
  name: string,
  role: 'operator' | 'auditor' | 'member' = 'operator',
): Promise<string> {
  const { url } = await gate.manage(async (store, by) => {
    const account = await createAccount(store, name, undefined, by, role);
    return linkFor({ store, portal: new URL(gate.url) }, account.id, 'setup', by);
  });
  return codeOf(url);
}

export const codeOf = (url: string): string => url.slice(url.indexOf('#') + 1);

/** A person who applied at an open gate, was admitted at once and is signed in. */
export async function memberOf(gate: Pick<TestGate, 'url'>, email: string): Promise<Visitor> {
  const visitor = new Visitor(gate.url);
  const applied = await visitor.post('/applications', {
    name: email.split('@')[0],
    email,
    purpose: 'a test',
    password: goodPassword,
  });
  if (applied.status !== 201 || applied.body.status !== 'approved')
    throw new Error(`the application was answered ${applied.status}: ${applied.text}`);
  return visitor;
}

/** To the provider and back; returns where the browser ends. */
export async function through(visitor: Visitor): Promise<Reply> {
  const { body } = await visitor.auth('/sign-in/provider', { provider: 'oidc', next: '/portal/' });
  const authorized = await fetch(body.url, { redirect: 'manual' });
  const back = new URL(authorized.headers.get('location') ?? '');
  return visitor.ask('GET', back.pathname + back.search, {
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  });
}
