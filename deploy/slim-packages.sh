#!/bin/sh
# Takes out of a node_modules folder what no program reads at run time: types, sources, maps, tests, manuals, and what a compiler left behind.
# Licences stay. For the image: slim-packages.sh <node_modules>
set -eu

if [ "$#" -ne 1 ] || [ "$(basename -- "$1")" != node_modules ]; then
  echo "usage: $0 <node_modules>" >&2
  exit 2
fi
cd -- "$1"

# types, and the sources that maps lead to: an agent of one's own is translated, never type-checked
find . -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsbuildinfo' -o -name '*.flow' \) -delete
find . -type f \( -iname '*.md' -o -iname '*.markdown' \) ! -iname 'licen[cs]e*' ! -iname 'notice*' ! -iname 'copying*' -delete

# beside a package.json alone, and without one of its own: elsewhere a folder of such a name may be a part of the program
find . -type f -name package.json | while IFS= read -r manifest; do
  package=$(dirname -- "$manifest")
  for name in .github .vscode test tests __tests__ docs doc example examples benchmark benchmarks coverage; do
    if [ -d "$package/$name" ] && [ ! -e "$package/$name/package.json" ]; then rm -rf -- "${package:?}/$name"; fi
  done
done

# SQLite, compiled, is one file
sqlite=better-sqlite3/build/Release/better_sqlite3.node
if [ -f "$sqlite" ]; then
  rm -rf better-sqlite3/deps better-sqlite3/src
  find better-sqlite3/build -type f ! -path "$sqlite" -delete
fi

# the tables of all models; LangChain uses js-tiktoken/lite, which has none
rm -rf js-tiktoken/dist/ranks js-tiktoken/dist/index.js js-tiktoken/dist/index.cjs

# for bundlers; Node.js loads build/src
rm -rf @opentelemetry/*/build/esm @opentelemetry/*/build/esnext

find . -type d -empty -delete
