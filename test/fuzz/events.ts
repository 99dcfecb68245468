// The data of each event in a stream, by another parser than the gate's: HTML standard §9.2.6, in regular expressions.
export function eventsOf(stream: string): string[] {
  return stream
    .replace(/^\ufeff/, '')
    .replaceAll(/\r\n|\r/g, '\n')
    .split(/\n\n+/)
    .map((event) =>
      event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.replace(/^data: ?/, ''))
        .join('\n'),
    );
}
