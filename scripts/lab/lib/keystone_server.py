#!/usr/bin/python3
"""Keystone on loopback.

usage: keystone_server.py serve PORT [DIR]
       keystone_server.py seed BASE_URL REGION=SWIFT_PORT...

`serve` runs Keystone's own WSGI application one request at a time: with a thread for each request SQLite answers "database is locked".
OS_KEYSTONE_CONFIG_FILES and OS_KEYSTONE_CONFIG_DIR name its configuration.
`seed` fills a bootstrapped Keystone over its REST API and prints the id of the application credential. Running it again changes nothing.
"""
import json
import socketserver
import sys
import urllib.error
import urllib.parse
import urllib.request
from wsgiref import simple_server

QUEUE_LENGTH = 128
SILENT_CLIENT_SECONDS = 10
REQUEST_SECONDS = 60


def serve(port):
    from keystone.server.wsgi import initialize_public_application

    class Server(simple_server.WSGIServer):
        request_queue_size = QUEUE_LENGTH

        def server_bind(self):
            # the base class would look its own name up in the DNS
            socketserver.TCPServer.server_bind(self)
            self.server_name, self.server_port = 'localhost', port
            self.setup_environ()

    class Handler(simple_server.WSGIRequestHandler):
        timeout = SILENT_CLIENT_SECONDS

        def address_string(self):
            return self.client_address[0]

    sys.argv[1:] = []  # oslo.config reads the command line too
    application = initialize_public_application()
    server = Server(('127.0.0.1', port), Handler)
    server.set_app(application)
    server.serve_forever()


class Client:
    def __init__(self, base):
        self._base = base
        self._token = None
        self._relogin = None
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, method=method, data=data)
        request.add_header('Content-Type', 'application/json')
        if self._token:
            request.add_header('X-Auth-Token', self._token)
        try:
            with self._open(request, timeout=REQUEST_SECONDS) as response:
                text = response.read()
                return response.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            # tokens of a few seconds end before a slow machine has made everything
            if error.code != 401 or not self._token:
                raise
            self._token = None
            self._relogin()
            return self.call(method, path, body)

    def login(self, user, password, project):
        self._relogin = lambda: self.login(user, password, project)
        default = {'id': 'default'}
        headers, body = self.call('POST', '/v3/auth/tokens', {'auth': {
            'identity': {'methods': ['password'],
                         'password': {'user': {'name': user, 'domain': default, 'password': password}}},
            'scope': {'project': {'name': project, 'domain': default}}}})
        self._token = headers['X-Subject-Token']
        return body['token']['user']['id']

    def find(self, collection, **query):
        found = self.call('GET', '/v3/%s?%s' % (collection, urllib.parse.urlencode(query)))[1][collection]
        return found[0]['id'] if found else None

    def make(self, kind, collection, query, **more):
        """The id of what matches the query, made when there is none."""
        found = self.find(collection, **query)
        if found is not None:
            return found
        return self.call('POST', '/v3/' + collection, {kind: dict(query, **more)})[1][kind]['id']


def make_region(client, region):
    try:
        client.call('GET', '/v3/regions/' + region)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        client.call('POST', '/v3/regions', {'region': {'id': region}})


def seed(base, regions):
    admin = Client(base)
    admin.login('admin', 'admin', 'admin')
    roles = {name: admin.make('role', 'roles', {'name': name}) for name in ('admin', 'member', 'reader', 'service')}
    acme = admin.make('domain', 'domains', {'name': 'acme'})
    projects = {name: admin.make('project', 'projects', {'name': name, 'domain_id': domain})
                for name, domain in (('service', 'default'), ('odoo', 'default'), ('files', acme))}
    for name, password, domain, grants in (
            ('swift', 'swift', 'default', (('service', 'admin'), ('service', 'service'))),
            ('odoo', 'odoo-secret', 'default', (('odoo', 'member'),)),
            ('odoo-reader', 'odoo-secret', 'default', (('odoo', 'reader'),)),
            ('alice', 'alice-secret', acme, (('files', 'member'),))):
        user = admin.make('user', 'users', {'name': name, 'domain_id': domain}, password=password)
        for project, role in grants:
            admin.call('PUT', '/v3/projects/%s/users/%s/roles/%s' % (projects[project], user, roles[role]))

    service = admin.make('service', 'services', {'type': 'object-store'}, name='swift')
    for region, port in regions.items():
        make_region(admin, region)
        for interface in ('public', 'internal', 'admin'):
            account = '' if interface == 'admin' else '/v1/AUTH_%(project_id)s'
            admin.make('endpoint', 'endpoints', {'service_id': service, 'region_id': region, 'interface': interface},
                       url='http://127.0.0.1:%s%s' % (port, account))

    # an application credential belongs to the user who makes it
    owner = Client(base)
    credentials = '/v3/users/%s/application_credentials' % owner.login('odoo', 'odoo-secret', 'odoo')
    for known in owner.call('GET', credentials)[1]['application_credentials']:
        if known['name'] == 'filestore':
            return known['id']
    return owner.call('POST', credentials, {'application_credential': {
        'name': 'filestore', 'secret': 'filestore-secret', 'roles': [{'name': 'member'}]}})[1]['application_credential']['id']


if __name__ == '__main__':
    if sys.argv[1:2] == ['serve'] and len(sys.argv) in (3, 4):
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ['seed'] and len(sys.argv) > 3:
        print(seed(sys.argv[2], dict(pair.split('=') for pair in sys.argv[3:])))
    else:
        sys.exit(__doc__)
