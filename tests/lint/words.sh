#!/bin/bash
# What never belongs into the repository: binary files, large files, paths of one machine, TODOs that nobody will find.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

largest=$((64 * 1024))
# Damaged frames and the like are small and cannot be text.
may_be_binary='^tests/(fuzz|fixup|clone)/([^/]+/)*corpus/'

while read -r file; do
  size=$(stat -c %s "$file")
  if [[ $file != LICENSE ]] && ((size > largest)); then
    complain "$file: $size bytes; the limit is $largest. Make it in the test that needs it"
  fi
  if ((size > 0)) && [[ ! $file =~ $may_be_binary ]] && ! grep -qI '' "$file"; then
    complain "$file: not a text file"
  fi
done < <(files .)

# In two halves, so that this file does not complain about itself. Paths in a copied system (guests) are no machine's.
machine="(^|[^A-Za-z0-9_./\$}-])/(w""ork|r""oot|tmp/w|tmp/bash_j""obs)/"
while read -r line; do
  complain "$line (a path of one machine)"
done < <(files . | grep -vE '^(tests/lint/self-test\.sh)$' | xargs -r -d '\n' grep -HnIE "$machine" -- || true)

while read -r line; do
  complain "$line (a T""ODO needs an issue number: 'T""ODO #12')"
done < <(files '(\.(cpp|hpp|cmake|py|sh)|CMakeLists\.txt)$' | grep -v '^tests/lint/' |
  xargs -r -d '\n' grep -HnE '\b(T''ODO|F''IXME)\b' -- | grep -vE '#[0-9]+' || true)
finish "The repository is for text that people wrote."
