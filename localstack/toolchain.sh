#!/bin/sh
# Prints the Python that set-up should use, once everything that it needs is there: Python 3.13 or newer with
# venv, Node 20 or newer (recommended: 24, since Node 20 is out of support), npm. Otherwise says what is missing and how to get it, and exits with 1. It is a shell
# script because it runs before there is a Python. PYTHON, if set, is the only interpreter that is tried.

ok=yes

missing() {
    printf '%s\n' "$@" >&2
    ok=no
}

# A command that is there may still fail, as a version manager's placeholder does.
is_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1
}

is_node() {
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' >/dev/null 2>&1
}

if [ -n "$PYTHON" ]; then set -- "$PYTHON"; else set -- python3.13 python3 python; fi
python=
for candidate; do
    if is_python "$candidate"; then
        python=$candidate
        break
    fi
done

[ -n "$python" ] || missing "Python 3.13 or newer with its venv module is needed (tried: $*)." \
    "  Get it from https://www.python.org/downloads/, with 'pyenv install 3.13', 'brew install python@3.13' or" \
    "  'apt install python3.13-venv'; or say where it is: make PYTHON=/path/to/python3.13 ..."
is_node || missing "Node 20 or newer is needed: the storage emulator runs on it. Node 24 is recommended." \
    "  Get it from https://nodejs.org/, with 'nvm install 24' or 'brew install node'."
npm --version >/dev/null 2>&1 || missing "npm is needed: it installs the storage emulator." \
    "  It comes with Node from https://nodejs.org/; Debian has it apart ('apt install npm')."

[ "$ok" = yes ] || exit 1
printf '%s\n' "$python"
