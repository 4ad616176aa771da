/** A v1 login, and an account that answers 204 to everything, for http and https servers. */
import type http from 'node:http';

export const v1Service: http.RequestListener = (request, response) => {
  const scheme = 'encrypted' in request.socket ? 'https' : 'http';
  const storageUrl = `${scheme}://${request.headers.host ?? ''}/v1/AUTH_a`;
  if (request.url === '/auth/v1.0') response.writeHead(200, { 'x-storage-url': storageUrl, 'x-auth-token': 't' }).end();
  else response.writeHead(204, { 'x-trans-id': 'tx1' }).end();
};
