// A connection to PostgreSQL for a test's own questions.
import pg from 'pg';

/** Its server may end it at any time: questions fail then, but the process of the tests goes on (pg emits an error that nobody expects). */
export async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client(url).on('error', () => undefined);
  await client.connect();
  return client;
}
