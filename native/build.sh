#!/bin/sh
# Builds the FUSE addon with nothing but a C compiler and Node's headers.
#   sh native/build.sh               fails when it cannot be built
#   sh native/build.sh --optional    says why and succeeds: the daemon then reads /dev/fuse in pure Node
# NODE_INCLUDE_DIR names the directory of node_api.h where it is not found by itself; CC the compiler.
set -eu
cd "$(dirname "$0")"

optional=no
[ "${1:-}" = --optional ] && optional=yes

give_up() {
  echo "native/build.sh: $1; without the addon the slower pure-Node transport is used" >&2
  [ "$optional" = yes ] && exit 0
  exit 1
}

[ "$(uname -s)" = Linux ] || give_up "FUSE is built on Linux only"

compiler=${CC:-}
if [ -z "$compiler" ]; then
  for candidate in gcc cc clang; do
    if command -v "$candidate" >/dev/null 2>&1; then compiler=$candidate && break; fi
  done
fi
[ -n "$compiler" ] || give_up "no C compiler (apt-get install gcc libc6-dev)"

node=$(command -v node || true)
headers=
for directory in "${NODE_INCLUDE_DIR:-}" "${node:+$(dirname "$(dirname "$(readlink -f "$node")")")/include/node}" /usr/include/node /usr/include/nodejs/src; do
  if [ -n "$directory" ] && [ -f "$directory/node_api.h" ]; then headers=$directory && break; fi
done
[ -n "$headers" ] || give_up "no Node headers (node_api.h; set NODE_INCLUDE_DIR, or apt-get install libnode-dev)"

mkdir -p build
is_current=yes
for source in *.c *.h build.sh; do
  [ build/fuse-device.node -nt "$source" ] || is_current=no
done
[ "$is_current" = yes ] && exit 0
# Written aside and renamed: a running daemon keeps the file it has mapped.
"$compiler" -std=gnu11 -O2 -Wall -Wextra -fPIC -shared -fvisibility=hidden -I"$headers" -o build/fuse-device.node.new *.c ||
  give_up "the compiler failed"
mv -f build/fuse-device.node.new build/fuse-device.node
echo "native/build.sh: built native/build/fuse-device.node with $compiler and $headers" >&2
