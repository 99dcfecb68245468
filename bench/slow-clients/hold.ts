// Holds thousands of connections open to the gate and does nothing with them, for a given time:
//
//   node bench/slow-clients/hold.ts <port> <connections> <seconds> idle|silent
//
// idle: each makes one request first, and is kept alive after the answer. silent: none sends anything. A connection that the
// gate closes is opened again, so that this many are always open or being opened.
import { connect } from 'node:net';
import process from 'node:process';

const [port = '', connections = '', seconds = '', habit = ''] = process.argv.slice(2);
const question = `HEAD / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
const openedAtOnce = 50;
const stepMs = 20;

let open = 0;
setInterval(() => {
  for (let i = 0; i < openedAtOnce && open < Number(connections); i++) hold();
}, stepMs);
setTimeout(() => process.exit(0), Number(seconds) * 1000);
process.on('SIGTERM', () => process.exit(0));

function hold(): void {
  open++;
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  if (habit === 'idle') socket.write(question);
  socket.on('data', () => undefined);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    open--;
  });
}
