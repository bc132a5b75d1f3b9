#!/bin/sh
# Starts Holdline on a machine that has Node.js and nothing else: installs and builds when needed, then becomes the service.
set -eu

say () {
  printf 'start.sh: %s\n' "$1" >&2
}

fail () {
  say "$1"
  exit 1
}

has () {
  command -v "$1" >/dev/null 2>&1
}

# the folder of this file, also when it is called through a link; CDPATH would make cd print and go elsewhere
CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0" 2>/dev/null || printf '%s' "$0")")"

check_node () {
  has node || fail 'Node.js 20.19 or newer is needed, and there is no node: see https://nodejs.org'
  # in words that the oldest Node.js understands
  node -e 'var v = process.versions.node.split("."); process.exit(+v[0] > 20 || (+v[0] === 20 && +v[1] >= 19) ? 0 : 1)' ||
    fail "Node.js 20.19 or newer is needed, and this is $(node --version): see https://nodejs.org"
}

is_installed () {
  # npm writes this file last
  [ -e node_modules/.package-lock.json ] || return 1
  [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ] || return 1
  # another Node.js than the one that it was compiled for cannot load it
  node -e 'new (require("better-sqlite3"))(":memory:")' >/dev/null 2>&1
}

is_built () {
  [ -e dist/src/server.js ] || return 1
  [ -z "$(find src plugins routes package.json tsconfig.json tsconfig.build.json -newer dist/src/server.js)" ]
}

# what a compiler needs and this machine lacks, in words
list_missing_tools () {
  missing=''
  { [ -n "${PYTHON:-}" ] || has python3 || has python; } || missing="$missing, python3"
  { has make || has gmake; } || missing="$missing, make"
  { [ -n "${CXX:-}" ] || has c++ || has g++ || has clang++; } || missing="$missing, a C++ compiler"
  printf '%s' "${missing#, }"
}

explain_tools () {
  if has apt-get; then printf 'apt-get install -y python3 make g++'
  elif has apk; then printf 'apk add python3 make g++'
  elif has dnf; then printf 'dnf install -y python3 make gcc-c++'
  elif has brew || [ "$(uname)" = Darwin ]; then printf 'xcode-select --install'
  else printf 'install python3, make and g++'
  fi
}

install () {
  has npm || fail 'npm is needed to install the packages, and there is none: see https://nodejs.org'
  say 'installing the packages (some minutes where better-sqlite3 has to be compiled)'
  # the build needs the development packages, whatever NODE_ENV says
  if npm ci --include=dev --no-audit --no-fund >"$log" 2>&1; then return; fi
  tools=$(list_missing_tools)
  if [ -n "$tools" ] && grep -qE 'better-sqlite3|node-gyp|gyp ERR' "$log"; then
    rm -f -- "$log"
    fail "better-sqlite3 has to be compiled on this machine, which lacks $tools: $(explain_tools)"
  fi
  show_log 'npm ci failed'
}

build () {
  has npm || fail 'npm is needed for the build, and there is none: see https://nodejs.org'
  say 'building'
  rm -rf dist
  if npm run --silent build >"$log" 2>&1; then return; fi
  # the compiler writes its output in spite of errors: the next start must not take it for a good one
  rm -rf dist
  show_log 'the build failed'
}

show_log () {
  cat -- "$log" >&2
  rm -f -- "$log"
  fail "$1, see above"
}

check_node
log=$(mktemp "${TMPDIR:-/tmp}/holdline-start.XXXXXX")
trap 'rm -f -- "$log"' EXIT
# a signal while installing ends the script, and the trap above cleans up
trap 'exit 130' INT
trap 'exit 143' TERM

if is_built; then
  is_installed || install
else
  { is_installed && [ -e node_modules/typescript/package.json ]; } || install
  build
fi

rm -f -- "$log"
trap - EXIT INT TERM
# exec, so that signals reach the service
exec node dist/src/server.js
