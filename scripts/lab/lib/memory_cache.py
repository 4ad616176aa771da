"""Swift's `cache` middleware without memcached.

A Paste filter that puts an object with memcached's interface into env['swift.cache'] and keeps the values in this process. Right only
while the proxy is one process (`workers = 0`): that is how scripts/lab/swift-up starts it.
"""
import time

# memcached reads a lifetime above this many seconds as a point in time
RELATIVE_LIMIT_SECONDS = 30 * 24 * 3600


def deadline(lifetime):
    if not lifetime:
        return None
    return lifetime if lifetime > RELATIVE_LIMIT_SECONDS else time.time() + lifetime


class MemoryCache:
    def __init__(self):
        self._entries = {}

    def get(self, key, raise_on_error=False):
        value, expires = self._entries.get(key, (None, None))
        if expires is not None and expires <= time.time():
            del self._entries[key]
            return None
        return value

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        self._entries[key] = (value, deadline(time))

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self._entries[key] = (value, deadline(time))
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -int(delta), time)

    def delete(self, key, server_key=None):
        self._entries.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, min_compress_len=0):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key):
        return [self.get(key) for key in keys]


def filter_factory(global_conf, **local_conf):
    cache = MemoryCache()

    def wrap(application):
        def with_cache(environ, start_response):
            environ['swift.cache'] = cache
            return application(environ, start_response)
        return with_cache

    return wrap
