#!/bin/bash
# A lint that never complains is worth nothing: each one is shown a copy of the tree with things wrong in it, and must
# name every one of them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
failed=0
expected=()

fresh_copy() {
  rm -rf "$copy"
  mkdir -p "$copy/tests"
  cp -a "$tree"/{base,clone,fixup,cli,docs,CMakeLists.txt,LICENSE,.clang-format} "$copy/"
  cp -a "$tree/tests/lint" "$copy/tests/"
  expected=()
}

# plant FILE LINE WORDS: LINE comes at the end of FILE, and the lint is to say "FILE:...WORDS".
plant() {
  mkdir -p "$(dirname "$copy/$1")"
  printf '%b\n' "$2" >> "$copy/$1"
  expected+=("$1.*$3")
}

# catches LINT: it complains about all that was planted. Then everything is clean again.
catches() {
  local said status=0 words
  said=$(COLDSPARE='' bash "$here/$1.sh" "$copy" 2>&1) || status=$?
  if ((status != 1)); then
    echo "$1.sh ended with $status instead of 1:"
    echo "$said"
    failed=1
  fi
  for words in "${expected[@]}"; do
    if ! grep -qE -- "$words" <<< "$said"; then
      echo "$1.sh did not say '$words', but:"
      echo "$said"
      failed=1
    fi
  done
  fresh_copy
}

fresh_copy
plant base/error.hpp '#include "clone/range.hpp"' 'base/ may not include clone/'
plant clone/wire.cpp '#include "fixup/plan.hpp"' 'clone/ may not include fixup/'
plant clone/wire.cpp '#include "cli/output.hpp"' 'clone/ may not include cli/'
plant fixup/plan.cpp '#include "clone/range.hpp"' 'fixup/ may not include clone/'
plant cli/main.cpp '#include "fixup/appliance/guest.hpp"' "the helper's headers"
plant clone/wire.cpp '#include "range.hpp"' 'not written from the root'
plant clone/wire.cpp '#include <zstd.h>' 'belongs to .*clone.codec'
plant clone/codec.cpp '#include <xxhash.h>' 'belongs to clone/digest.cpp'
plant clone/disk.cpp '# include <openssl/ssl.h>' 'belongs to clone/tls.cpp'
plant fixup/plan.cpp '#include <guestfs.h>' 'belongs to fixup/appliance/'
plant clone/wire.hpp '#include <nlohmann/json.hpp>' 'belongs to \*.cpp'
plant clone/wire.cpp '#include <iostream>' 'belongs to'
plant clone/wire.cpp '#include <CLI/CLI.hpp>' 'belongs to cli'
plant fixup/plan.cpp '#include <ldap.h>' 'belongs to nothing'
plant base/text.cpp 'void f() { printf("x"); }' 'only cli/ prints'
plant fixup/nic.cpp 'const char* home = std::getenv("HOME");' 'only cli/ prints'
plant base/new.hpp 'int x();' 'no #pragma once'
catches layering

plant clone/long.cpp "$(printf '//\\n%.0s' {1..401})" '40[0-9] lines'
plant tests/lint/long-files 'clone/wire.cpp: it was longer once' 'not longer than 400'
catches length

version=$(sed -nE 's/^project\(.* VERSION ([0-9.]+) .*/\1/p' "$tree/CMakeLists.txt")
plant clone/wire.cpp "const char* v = \"$version\";" 'CMakeLists.txt alone'
plant docs/man/coldspare.8 ".Dd coldspare $version" 'CMakeLists.txt alone'
catches version

plant docs/NOTES.md 'see /work/main/notes' 'a path of one machine'
plant clone/wire.cpp '// TODO: later' 'needs an issue number'
plant docs/picture 'a\0000b' 'not a text file'
plant docs/large.txt "$(printf 'x%.0s' {1..66000})" 'the limit is'
catches words

if command -v clang-format > /dev/null; then
  plant clone/wire.cpp 'int   f( ){return 1 ;}' 'clang-format'
  catches format
fi
if command -v shellcheck > /dev/null; then
  # shellcheck disable=SC2016 # it is the other script's $1
  plant scripts/x.sh '#!/bin/bash\nrm $1' 'line 2'
  catches shell
fi
if command -v mandoc > /dev/null; then
  plant docs/man/coldspare.8 '.Xx nonsense' 'unknown macro'
  catches man
fi
exit "$failed"
