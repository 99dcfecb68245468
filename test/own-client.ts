// Loads Node's own HTTP client before any test loads the package `undici`. Whichever of the two comes first provides the
// client behind `fetch`, because both look it up by the same symbol. Without this, a test's calls may share the client and
// the clock of the gateway, depending on which file a worker runs first.
void new Response();
const { Agent, getGlobalDispatcher } = await import('undici');
if (getGlobalDispatcher() instanceof Agent) throw new Error('The tests share the HTTP client of the gateway.');
