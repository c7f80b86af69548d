#!/bin/bash
# C++ is formatted as .clang-format says, by the clang-format of Debian 12.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need clang-format

mapfile -t sources < <(files '\.(cpp|hpp)$')
clang-format --dry-run -Werror "${sources[@]}" || complain "not formatted"
finish "Run: clang-format -i \$(git ls-files '*.cpp' '*.hpp')"
