# Shared by the lab's commands (sourced). All of them bind 127.0.0.1 and touch no file outside their own directory.

# The distribution's Python: another `python3` that stands first on PATH does not see the packages of the distribution.
python=/usr/bin/python3
# A loaded machine needs seconds for what an idle one does in half of one.
START_LIMIT_SECONDS=${LAB_START_LIMIT_SECONDS:-120}

say() { echo "${0##*/}: $*" >&2; }
fail() { say "$*"; exit 1; }

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

answers() { curl -fsS -o /dev/null --max-time 5 --noproxy '*' "$1" 2>/dev/null; }

port_is_used() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# pid_alive FILE: the process of this pid file runs
pid_alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# needs VALUE OPTION: an option that needs a value has one
needs() { [ -n "${1-}" ] || { say "$2 needs a value"; usage; }; }
