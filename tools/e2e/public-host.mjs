// Loaded into messaging by tests (--import): hooks.shop.example is a host of the public internet, and what is sent there by TLS
// arrives at PUBLIC_HOST_URL in the clear. Everything before the socket is as it is in production.
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';

const HOST = 'hooks.shop.example';
const PUBLIC = { address: '93.184.215.14', family: 4 };
const { lookup } = dns;
dns.lookup = (name, options, done) => {
  if (name !== HOST) return lookup(name, options, done);
  queueMicrotask(() => done(null, [PUBLIC]));
};

const { connect } = tls;
tls.connect = (options, ...rest) => {
  if (options?.servername !== HOST) return connect(options, ...rest);
  const { port } = new URL(process.env.PUBLIC_HOST_URL);
  const socket = new net.Socket();
  // What the service's own look at the address says, holds.
  options.lookup(HOST, { all: false }, (error, address) => {
    if (error || address !== PUBLIC.address) socket.destroy(error ?? new Error('another address'));
    else socket.connect(Number(port), '127.0.0.1', () => socket.emit('secureConnect'));
  });
  return socket;
};
syncBuiltinESMExports();
