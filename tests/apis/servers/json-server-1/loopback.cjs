// json-server 1 takes --host for what it prints only, and listens on every address: here, on loopback alone.
const { Server } = require('node:net')

const listen = Server.prototype.listen
Server.prototype.listen = function (port, ...others) {
  return listen.call(this, { port, host: '127.0.0.1' }, ...others.filter((one) => typeof one === 'function'))
}
