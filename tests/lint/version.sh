#!/bin/bash
# The version stands in CMakeLists.txt and nowhere else. $COLDSPARE, if set, is the built program: it must say the same.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=$(sed -nE 's/^project\(coldspare VERSION ([0-9]+(\.[0-9]+)+) .*/\1/p' CMakeLists.txt)
if [[ -z $version ]]; then
  complain "CMakeLists.txt: no line 'project(coldspare VERSION ...'"
  finish "The other checks need it."
fi

# Not looked at: tests, where a version is just a text; PROTOCOL.md, whose HELLO is an example; comments of C++.
while read -r line; do
  complain "$line (the version stands in CMakeLists.txt alone)"
done < <(files '.' | grep -vE '^(CMakeLists\.txt|docs/PROTOCOL\.md|tests/.*|LICENSE)$' |
  xargs -r -d '\n' grep -HnF "$version" -- | grep -vE "^[^:]+\.(cpp|hpp):[0-9]+:.*//.*${version//./\\.}" || true)

if [[ -n ${COLDSPARE:-} ]]; then
  said=$("$COLDSPARE" --version)
  [[ $said == "coldspare $version" ]] || complain "$COLDSPARE --version says '$said' instead of 'coldspare $version'"
fi
finish "Take COLDSPARE_VERSION, or leave the number out."
