#!/usr/bin/python3
"""Starts the servers of a one-machine Swift.

usage: swift_servers.py DIR PROXY_PORT OBJECT_PORT CONTAINER_PORT ACCOUNT_PORT ROLE...

Binds the ports (exit code 3 when one is taken), writes the rings (one replica, one device), imports Swift once, forks one child for
each ROLE and returns. Each child writes to DIR/log/ROLE.{log,out} and its process id stands in DIR/run/ROLE.pid. Why it is done here
rather than by Swift's own commands:

- Swift reads /etc/swift/swift.conf whatever `swift_dir` says in the other files, and reads its constraints while it is imported;
  utils.set_swift_dir() before any other import moves that.
- Without /dev/log Swift sends its log by UDP to 127.0.0.1:514; a file handler is put in place of the syslog handler.
- On SIGTERM a Swift server signals its whole process group, so each needs a session of its own.
- Swift binds with SO_REUSEPORT: two Swifts that got the same port would share its connections, and each answer for the other.
"""
import errno
import logging
import os
import socket
import sys

SERVERS = ('proxy', 'object', 'container', 'account')
PORT_TAKEN = 3


def bind_all(ports):
    """One listening socket for each server, before anything else is done: {role: socket}."""
    sockets = {}
    for role, port in ports.items():
        sockets[role] = sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(('127.0.0.1', port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            print('port %d is taken' % port, file=sys.stderr)
            sys.exit(PORT_TAKEN)
        sock.listen(4096)
    return sockets


def serve_on(sock):
    """Swift listens on this socket, whatever address it asks for."""
    from eventlet.greenio import GreenSocket
    from swift.common import wsgi
    wsgi.listen = lambda *_address, **_options: GreenSocket(sock)


def write_rings(etc, ports):
    from swift.common.ring import RingBuilder
    for name, port in ports.items():
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
        builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': port,
                         'replication_ip': '127.0.0.1', 'replication_port': port,
                         'device': 'd1', 'weight': 1.0, 'meta': ''})
        builder.rebalance()
        builder.get_ring().save(os.path.join(etc, name + '.ring.gz'))


def log_into(path):
    from swift.common import utils

    class FileLog(logging.FileHandler):
        def __init__(self, **_options):
            super().__init__(path)

        def createLock(self):
            # Swift's greenlets may not share a plain thread lock
            self.lock = utils.PipeMutex()

    utils.ThreadSafeSysLogHandler = FileLog


def daemon_class(role):
    if role == 'object-updater':
        from swift.obj.updater import ObjectUpdater
        return ObjectUpdater
    if role == 'container-updater':
        from swift.container.updater import ContainerUpdater
        return ContainerUpdater
    if role == 'object-expirer':
        from swift.obj.expirer import ObjectExpirer
        return ObjectExpirer
    sys.exit('no such role: %s' % role)


def run(directory, role):
    log_into(os.path.join(directory, 'log', role + '.log'))
    conf = os.path.join(directory, 'etc', role + '.conf')
    if role not in SERVERS:
        from swift.common.daemon import run_daemon
        return run_daemon(daemon_class(role), conf)
    from swift.common.wsgi import run_wsgi
    options = {}
    if role == 'object':
        from swift.obj.server import global_conf_callback
        options['global_conf_callback'] = global_conf_callback
    return run_wsgi(conf, role + '-server', **options)


def import_everything():
    """Once, before the forks: the import is most of the start."""
    import paste.deploy  # noqa: F401
    import pkg_resources  # noqa: F401
    import swift.account.server  # noqa: F401
    import swift.common.wsgi  # noqa: F401
    import swift.container.server  # noqa: F401
    import swift.obj.server  # noqa: F401
    import swift.proxy.server  # noqa: F401
    from swift.common.middleware import (  # noqa: F401
        account_quotas, bulk, catch_errors, container_quotas, copy, dlo, gatekeeper, healthcheck,
        listing_formats, proxy_logging, slo, symlink, tempauth, tempurl, versioned_writes)


def become_role(directory, role, sockets):
    os.setsid()
    for other, sock in sockets.items():
        if other != role:
            sock.close()
    output = os.open(os.path.join(directory, 'log', role + '.out'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if role in sockets:
        serve_on(sockets[role])
    sys.exit(run(directory, role))


def main(directory, *arguments):
    ports, roles = dict(zip(SERVERS, map(int, arguments))), arguments[len(SERVERS):]
    sockets = bind_all(ports)
    from swift.common import utils
    etc = os.path.join(directory, 'etc')
    utils.set_swift_dir(etc)
    import_everything()
    second = {'object-1': ports['object']} if os.environ.get('SWIFT_SECOND_POLICY') else {}
    write_rings(etc, {**second, **{name: port for name, port in ports.items() if name != 'proxy'}})
    for role in roles:
        pid = os.fork()
        if pid == 0:
            become_role(directory, role, sockets)
        with open(os.path.join(directory, 'run', role + '.pid'), 'w') as file:
            file.write('%d\n' % pid)


if __name__ == '__main__':
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    main(*sys.argv[1:])
